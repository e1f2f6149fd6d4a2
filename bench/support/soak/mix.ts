/** What a product asks of the service in a steady mix, the same bodies again and again, so that nothing adds up. */
import type { LoadPlan } from '../load/load.ts';
import type { FilledTenant } from '../tenants.ts';

const CANDIDATES = 40;
const QUERIES = {
  rank: 'query ($person: String!, $ids: [ID!]!) { user(by: {externalId: $person}) { rank(imageIds: $ids) { scores { value } } } }',
  reasons:
    'query ($person: String!, $id: ID!) { user(by: {externalId: $person}) { score(imageId: $id) { value explanation { influences(first: 3) { effect } } } } }',
  // without the images themselves: one that is deleted while it is read is an error of its own
  recommendations:
    'query ($person: String!) { user(by: {externalId: $person}) { recommendations(first: 10) { nodes { value } } } }',
  similar:
    'query ($person: String!) { user(by: {externalId: $person}) { similarUsers(first: 5) { nodes { similarity user { id } } } } }',
  judge: 'mutation ($input: SubmitFeedbackInput!) { submitFeedback(input: $input) { feedback { id } } }',
};

export function mixOf({
  url,
  serviceKey,
  externalIds,
  imageIds,
}: FilledTenant): Pick<LoadPlan, 'url' | 'key' | 'bodies'> {
  const bodies = externalIds.flatMap((person, i) => {
    const id = imageIds[i % imageIds.length]!;
    const sentiment = i % 2 ? 'LIKE' : 'DISLIKE';
    const input = { items: [{ user: { externalId: person }, image: { id }, sentiment }] };
    const ids = imageIds.slice(0, CANDIDATES);
    return [
      { query: QUERIES.judge, variables: { input } },
      { query: QUERIES.rank, variables: { person, ids } },
      { query: QUERIES.reasons, variables: { person, id } },
      { query: QUERIES.rank, variables: { person, ids } },
      { query: QUERIES.recommendations, variables: { person } },
      { query: QUERIES.similar, variables: { person } },
    ].map((body) => JSON.stringify(body));
  });
  return { url, key: serviceKey, bodies };
}
