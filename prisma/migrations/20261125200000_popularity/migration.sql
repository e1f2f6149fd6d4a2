-- What others made of images: sums over everybody's likes and dislikes, for a person whose own rows are all that they see.

-- For each pair of a person and an image, Σ w r (like 1, dislike −1) and Σ w of the others, in the order of the pairs.
-- It reads as the tables' owner, whom row-level security binds to the tenant of the session, and as no person: the
-- session's person is put aside while it reads and put back after; where it fails, the transaction puts them back.
CREATE FUNCTION popularity(people uuid[], images uuid[])
    RETURNS TABLE (place bigint, sum double precision, count double precision)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    person_of_session text := coalesce(current_setting('app.user_id', true), '');
BEGIN
    PERFORM set_config('app.user_id', '', true);
    RETURN QUERY
        SELECT asked.place,
               coalesce(sum(CASE f.sentiment WHEN 'LIKE' THEN f.weight ELSE -f.weight END), 0),
               coalesce(sum(f.weight), 0)
          FROM unnest(people, images) WITH ORDINALITY AS asked (person, image, place)
          LEFT JOIN feedback f
            ON f.tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
           AND f.image_id = asked.image AND f.user_id <> asked.person AND f.sentiment <> 'SKIP'
         GROUP BY asked.place ORDER BY asked.place;
    PERFORM set_config('app.user_id', person_of_session, true);
END
$$;
