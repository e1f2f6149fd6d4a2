-- Who calls: an operator of the installation, a tenant's programs, or one person; what each may see, what a tenant may
-- use, and what was done by whom.

ALTER TYPE "api_key_role" ADD VALUE 'OPERATOR';

-- AlterTable
ALTER TABLE "tenants"
    ADD COLUMN "suspended_at" TIMESTAMPTZ(3),
    ADD COLUMN "points_per_minute" INTEGER NOT NULL DEFAULT 600000,
    ADD COLUMN "max_images" INTEGER NOT NULL DEFAULT 1000000,
    ADD COLUMN "max_users" INTEGER NOT NULL DEFAULT 1000000,
    ADD COLUMN "token_issuer" VARCHAR(2000),
    ADD COLUMN "token_key_set_url" VARCHAR(2000),
    ADD COLUMN "token_secret" BYTEA;

-- AlterTable
ALTER TABLE "api_keys" ADD COLUMN "points_per_minute" INTEGER;

-- Answers are kept as ids from here on, and apart by who asked; what was kept otherwise is a day old at most.
DROP TABLE "idempotency_keys";

-- CreateTable
CREATE TABLE "idempotency_keys" (
    "tenant_id" UUID NOT NULL,
    "asker" UUID NOT NULL,
    "operation" VARCHAR(64) NOT NULL,
    "key" VARCHAR(255) NOT NULL,
    "request_sha256" BYTEA NOT NULL,
    "ids" UUID[],
    "user_errors" JSONB NOT NULL,
    "user_ids" UUID[],
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "idempotency_keys_pkey" PRIMARY KEY ("tenant_id","asker","operation","key")
);

-- CreateTable
CREATE TABLE "point_leases" (
    "tenant_id" UUID NOT NULL,
    "subject" UUID NOT NULL,
    "window_start" TIMESTAMPTZ(3) NOT NULL,
    "leased" INTEGER NOT NULL,

    CONSTRAINT "point_leases_pkey" PRIMARY KEY ("tenant_id","subject")
);

-- CreateTable
CREATE TABLE "audit_events" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "actor" VARCHAR(255) NOT NULL,
    "action" VARCHAR(64) NOT NULL,
    "subject" VARCHAR(100),
    "request_id" VARCHAR(64) NOT NULL,

    CONSTRAINT "audit_events_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "audit_addresses" (
    "tenant_id" UUID NOT NULL,
    "event_id" UUID NOT NULL,
    "address" VARCHAR(64) NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "audit_addresses_pkey" PRIMARY KEY ("tenant_id","event_id")
);

-- CreateTable
CREATE TABLE "erasures" (
    "tenant_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "erased_at" TIMESTAMPTZ(3) NOT NULL,
    "feedback_deleted" INTEGER NOT NULL,

    CONSTRAINT "erasures_pkey" PRIMARY KEY ("tenant_id","user_id")
);

-- CreateTable
CREATE TABLE "training_people" (
    "tenant_id" UUID NOT NULL,
    "model_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,

    CONSTRAINT "training_people_pkey" PRIMARY KEY ("tenant_id","model_id","user_id")
);

-- CreateIndex
CREATE INDEX "idempotency_keys_tenant_id_created_at_idx" ON "idempotency_keys"("tenant_id", "created_at");

-- CreateIndex
CREATE INDEX "audit_addresses_tenant_id_at_idx" ON "audit_addresses"("tenant_id", "at");

-- CreateIndex
CREATE INDEX "training_people_tenant_id_user_id_idx" ON "training_people"("tenant_id", "user_id");

-- AddForeignKey
ALTER TABLE "idempotency_keys" ADD CONSTRAINT "idempotency_keys_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("tenant_id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "point_leases" ADD CONSTRAINT "point_leases_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("tenant_id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "audit_events" ADD CONSTRAINT "audit_events_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("tenant_id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "audit_addresses" ADD CONSTRAINT "audit_addresses_tenant_id_event_id_fkey" FOREIGN KEY ("tenant_id", "event_id") REFERENCES "audit_events"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "erasures" ADD CONSTRAINT "erasures_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("tenant_id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "training_people" ADD CONSTRAINT "training_people_tenant_id_model_id_fkey" FOREIGN KEY ("tenant_id", "model_id") REFERENCES "models"("tenant_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- What the domain promises, held where the rows are.
ALTER TABLE "tenants" ADD CONSTRAINT "tenants_limits_check"
    CHECK ("points_per_minute" > 0 AND "max_images" >= 0 AND "max_users" >= 0);
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_points_check" CHECK ("points_per_minute" > 0);
-- An operator's key is of no tenant: it is kept under the id of none, and no other key is.
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_operator_check"
    CHECK (("role"::text = 'OPERATOR') = ("tenant_id" = '00000000-0000-0000-0000-000000000000'));

-- The person of a transaction that was begun for one (src/database/tenantAdapter.ts); null in all others. Policies say
-- (SELECT app_user()), which is asked once a query and not once a row: half the time of a scan.
CREATE FUNCTION app_user() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.user_id', true), '')::uuid;

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY[
    'idempotency_keys', 'point_leases', 'audit_events', 'audit_addresses', 'erasures', 'training_people'
  ] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format(
      'CREATE POLICY tenant ON %I USING (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', name
    );
  END LOOP;

  -- Beside the tenant's policy, and with it: a person sees their own rows.
  FOREACH name IN ARRAY ARRAY['comparisons', 'profiles', 'recommendation_lists'] LOOP
    EXECUTE format(
      'CREATE POLICY person ON %I AS RESTRICTIVE USING ((SELECT app_user()) IS NULL OR user_id = (SELECT app_user()))', name
    );
  END LOOP;
  -- And nothing of what is the tenant's own business.
  FOREACH name IN ARRAY ARRAY[
    'api_keys', 'point_leases', 'audit_events', 'audit_addresses', 'erasures', 'training_people'
  ] LOOP
    EXECUTE format('CREATE POLICY person ON %I AS RESTRICTIVE USING ((SELECT app_user()) IS NULL)', name);
  END LOOP;
  -- What a person reads of the tenant's, and their own pictures, they do not write. Rows may still be locked: USING (true).
  FOREACH name IN ARRAY ARRAY['tenants', 'models', 'images', 'embeddings', 'item_vectors'] LOOP
    EXECUTE format(
      'CREATE POLICY person_insert ON %I AS RESTRICTIVE FOR INSERT WITH CHECK ((SELECT app_user()) IS NULL)', name
    );
    EXECUTE format(
      'CREATE POLICY person_update ON %I AS RESTRICTIVE FOR UPDATE USING (true) WITH CHECK ((SELECT app_user()) IS NULL)',
      name
    );
    EXECUTE format(
      'CREATE POLICY person_delete ON %I AS RESTRICTIVE FOR DELETE USING ((SELECT app_user()) IS NULL)', name
    );
  END LOOP;
END
$$;

CREATE POLICY person ON "users" AS RESTRICTIVE USING ((SELECT app_user()) IS NULL OR "id" = (SELECT app_user()));
CREATE POLICY person ON "images" AS RESTRICTIVE
    USING ((SELECT app_user()) IS NULL OR "owner_id" IS NULL OR "owner_id" = (SELECT app_user()));
CREATE POLICY person ON "idempotency_keys" AS RESTRICTIVE USING ((SELECT app_user()) IS NULL OR "asker" = (SELECT app_user()));
-- The policies of images and comparisons hold within these. A judgement of a picture that was given to somebody else
-- since is kept, and not seen.
CREATE POLICY person ON "feedback" AS RESTRICTIVE USING ((SELECT app_user()) IS NULL OR ("user_id" = (SELECT app_user()) AND EXISTS (
    SELECT FROM "images" WHERE "images"."tenant_id" = "feedback"."tenant_id" AND "images"."id" = "feedback"."image_id"
)));
CREATE POLICY person ON "embeddings" AS RESTRICTIVE USING ((SELECT app_user()) IS NULL OR EXISTS (
    SELECT FROM "images" WHERE "images"."tenant_id" = "embeddings"."tenant_id" AND "images"."id" = "embeddings"."image_id"
));
CREATE POLICY person ON "item_vectors" AS RESTRICTIVE USING ((SELECT app_user()) IS NULL OR EXISTS (
    SELECT FROM "images" WHERE "images"."tenant_id" = "item_vectors"."tenant_id" AND "images"."id" = "item_vectors"."image_id"
));
CREATE POLICY person ON "comparison_others" AS RESTRICTIVE USING ((SELECT app_user()) IS NULL OR EXISTS (
    SELECT FROM "comparisons" WHERE "comparisons"."tenant_id" = "comparison_others"."tenant_id" AND "comparisons"."id" = "comparison_others"."comparison_id"
));

-- An operator sees which tenants there are, and changes none but under that tenant's own policy.
CREATE POLICY operator ON "tenants" FOR SELECT USING (current_setting('app.operator', true) = 'on');
