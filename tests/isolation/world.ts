/**
 * Two tenants with two people each, every table of both filled, a credential of every role in the first, and canaries:
 * texts that stand in rows of the second tenant, or of the second person, and nowhere else.
 */
import pg from 'pg';
import { NO_TENANT, withTenant } from '../../src/database/client.ts';
import { issueApiKey } from '../../src/domain/apiKeys.ts';
import { toGlobalId } from '../../src/domain/ids.ts';
import { type GraphqlAnswer, type TestService, type TestTenant, testService, unknownId } from '../http/service.ts';
import type { Role } from './expected.ts';
import type { Fill } from './operations.ts';

/** Every table that has a tenant in it. */
export const TENANT_TABLES = `
  SELECT table_name AS name FROM information_schema.columns
  WHERE table_schema = 'public' AND column_name = 'tenant_id' ORDER BY table_name`;

/** People beside the two: with them there are enough for anonymous similarity. */
export const CROWD = 20;
/** Limits that no test is about: as many points as there can be. */
const MOST_POINTS = 2_147_483_647;

export type NodeIds = Readonly<Record<'User' | 'Image' | 'Feedback' | 'Comparison', string>>;

/** One tenant, and global ids of what is in it. */
export interface Side {
  readonly tenant: TestTenant;
  readonly word: string;
  /** An ADMIN key whose name holds the word. */
  readonly adminKey: string;
  /** Of the person whose token asks, of the other one, and an image that nobody owns. */
  readonly ada: NodeIds;
  readonly bob: NodeIds;
  readonly shared: string;
  readonly own: Readonly<Record<'Model' | 'Tenant' | 'ApiKey' | 'AuditEvent' | 'TrainingJob', string>>;
}

export interface World {
  readonly service: TestService;
  readonly ours: Side;
  readonly theirs: Side;
  /** As the tables' owner. */
  readonly owner: pg.Client;
  key(role: Role, side?: Side): Promise<string>;
  ask(role: Role, query: string, variables: object, side?: Side): Promise<GraphqlAnswer>;
  /** Every row of a tenant, as JSON, by table; and its jobs. */
  rowsOf(side: Side): Promise<Record<string, string[]>>;
  close(): Promise<void>;
}

export async function makeWorld(): Promise<World> {
  const service = await testService();
  Object.assign(service.platform, { personPointsPerMinute: MOST_POINTS });
  const owner = new pg.Client({ connectionString: service.test.ownerUrl });
  await owner.connect();
  const doer = { credential: { actor: 'a test' }, address: null, requestId: 'test' };
  const operator = await withTenant(NO_TENANT, () =>
    issueApiKey(service.test.database, doer, service.test.time, { name: 'operator', role: 'OPERATOR' }),
  );
  await owner.query('UPDATE tenants SET points_per_minute = $1', [MOST_POINTS]); // the operators'
  const ours = await fill(service, owner, operator.secret, 'ocelot', ['#ff0000', '#00ff00', '#0000ff']);
  const theirs = await fill(service, owner, operator.secret, 'zebra', ['#ee1100', '#11ee00', '#1100ee']);

  const tokens = new Map<Side, Promise<string>>();
  const tokenOf = (side: Side): Promise<string> => {
    const token = tokens.get(side) ?? side.tenant.personKey(`${side.word}-ada`);
    tokens.set(side, token);
    return token;
  };
  const key = async (role: Role, side = ours): Promise<string> => {
    if (role === 'OPERATOR') return operator.secret;
    if (role === 'ADMIN') return side.adminKey;
    return role === 'SERVICE' ? side.tenant.serviceKey : tokenOf(side);
  };
  return {
    ...{ service, ours, theirs, owner, key },
    ask: async (role, query, variables, side = ours) => side.tenant.ask(query, variables, await key(role, side)),
    async rowsOf({ tenant: { id } }) {
      const { rows: tables } = await owner.query<{ name: string }>(TENANT_TABLES);
      const rows: Record<string, string[]> = {};
      for (const { name } of tables) {
        const found = await owner.query<{ row: string }>(
          `SELECT to_jsonb(t)::text AS row FROM ${pg.escapeIdentifier(name)} t WHERE tenant_id = $1 ORDER BY 1`,
          [id],
        );
        rows[name] = found.rows.map(({ row }) => row);
      }
      const jobs = `SELECT jsonb_build_object('id', id, 'data', data)::text AS row FROM pgboss.job WHERE data->>'tenantId' = $1 ORDER BY 1`;
      rows['jobs'] = (await owner.query<{ row: string }>(jobs, [id])).rows.map(({ row }) => row);
      return rows;
    },
    async close() {
      await owner.end();
      await service.close();
    },
  };
}

async function fill(
  service: TestService,
  owner: pg.Client,
  operatorKey: string,
  word: string,
  [forAll, forAda, forBob]: readonly [string, string, string],
): Promise<Side> {
  const tenant = await service.tenant();
  const { id } = tenant;
  const tenantId = toGlobalId('Tenant', id);
  const must = async (query: string, variables: object, key = tenant.serviceKey) => {
    const { data, errors } = await tenant.ask(query, variables, key);
    if (errors.length > 0) throw new Error(JSON.stringify(errors));
    return data;
  };
  const input = { id: tenantId, name: `${word} limited`, pointsPerMinute: MOST_POINTS };
  await must(
    'mutation ($input: UpdateTenantInput!) { updateTenant(input: $input) { tenant { id } } }',
    { input },
    operatorKey,
  );
  const made = await must(
    'mutation ($name: String!) { createApiKey(input: { name: $name, role: ADMIN }) { secret apiKey { id } } }',
    { name: `${word} admin` },
    tenant.adminKey,
  );
  const { secret: adminKey, apiKey } = made.createApiKey;
  await must('mutation { updateTenantSettings(input: { anonymousSimilarity: true }) { tenant { id } } }', {}, adminKey);

  const names = [`${word}-ada`, `${word}-bob`] as const;
  const { upsertUsers } = await must(
    'mutation ($items: [UpsertUserItem!]!) { upsertUsers(input: { items: $items }) { users { id } } }',
    { items: names.map((externalId) => ({ externalId, displayName: `${externalId} displayed` })) },
  );
  // A crowd: only where there is one does a person see how near others are.
  const crowd = Array.from({ length: CROWD }, (_, i) => `${word}-other-${i}`);
  await tenant.people(...crowd);
  const describe = (name: string) => ({
    ...{ externalId: `${name}-image`, prompt: `a ${name}prompt`, generator: `${name}-generator` },
    collection: `${name}-collection`,
  });
  const shared = await tenant.upload(forAll, describe(word));
  const images = [
    await tenant.upload(forAda, { ...describe(names[0]), owner: names[0] }),
    await tenant.upload(forBob, { ...describe(names[1]), owner: names[1] }),
  ];
  await tenant.encode();
  await tenant.findExemplars();
  const item = (externalId: string) => ({ user: { externalId }, image: { id: shared }, sentiment: 'LIKE' });
  await must('mutation ($items: [FeedbackItem!]!) { submitFeedback(input: { items: $items }) { feedback { id } } }', {
    items: crowd.map(item),
  });
  const people: NodeIds[] = [];
  for (const [i, name] of names.entries()) {
    const [user, image] = [upsertUsers.users[i].id as string, images[i]!];
    const judged = await must(
      'mutation ($input: SubmitFeedbackInput!) { submitFeedback(input: $input) { feedback { id } } }',
      {
        input: {
          idempotencyKey: `${name}-key`,
          items: [{ user: { id: user }, image: { id: image }, sentiment: 'LIKE', comment: `${name} commented` }],
        },
      },
      i === 0 ? await tenant.personKey(name) : tenant.serviceKey,
    );
    const compared = await must(
      'mutation ($input: SubmitComparisonInput!) { submitComparison(input: $input) { comparison { id } } }',
      { input: { user: { id: user }, chosen: { id: image }, others: [{ id: shared }] } },
    );
    // Fills the caches, the profiles and a kept list.
    await must(
      '{ users { nodes { recommendations(first: 1) { nodes { value } } similarUsers { nodes { similarity } } } } }',
      {},
    );
    const [Feedback, Comparison] = [judged.submitFeedback.feedback[0].id, compared.submitComparison.comparison.id];
    people.push({ User: user, Image: image, Feedback, Comparison });
  }
  const { viewer, auditLog } = await must(
    '{ viewer { tenant { activeModel { id } } } auditLog { nodes { id } } }',
    {},
    adminKey,
  );
  await fillByHand(owner, id, word);
  const { trainingJobs } = await must('{ trainingJobs { nodes { id } } }', {}, adminKey);
  const own = {
    Model: viewer.tenant.activeModel.id,
    Tenant: tenantId,
    ApiKey: apiKey.id,
    AuditEvent: auditLog.nodes[0].id,
    TrainingJob: trainingJobs.nodes[0].id,
  };
  return { tenant, word, adminKey, ada: people[0]!, bob: people[1]!, shared, own };
}

/** Rows of the tables that no request above writes to: a new table that stays empty fails the suite until it is here. */
async function fillByHand(owner: pg.Client, tenantId: string, word: string): Promise<void> {
  for (const statement of [
    `INSERT INTO erasures (tenant_id, user_id, erased_at, feedback_deleted) VALUES ($1, gen_random_uuid(), now(), 3)`,
    `INSERT INTO files_to_erase (tenant_id, sha256) VALUES ($1, repeat('f', 64))`,
    `INSERT INTO training_people (tenant_id, model_id, user_id)
       SELECT $1, models.id, users.id FROM models JOIN users USING (tenant_id) WHERE tenant_id = $1`,
    `INSERT INTO training_jobs (tenant_id, id, stage, requested_by, seed, promote_if_better, model_id)
       SELECT tenant_id, gen_random_uuid(), '${word}-waiting', '${word}-key', 1, false, id FROM models
       WHERE tenant_id = $1`,
    `INSERT INTO training_losses (tenant_id, job_id, step, base, contrastive, total)
       SELECT tenant_id, id, 0, 1, 1, 2 FROM training_jobs WHERE tenant_id = $1`,
    `INSERT INTO shadows (tenant_id, model_id, share) SELECT tenant_id, id, 0.1 FROM models WHERE tenant_id = $1`,
    `INSERT INTO exposures (tenant_id, user_id, image_id, model_id, value, at)
       SELECT f.tenant_id, f.user_id, f.image_id, models.id, 0.5, now()
       FROM feedback f JOIN models USING (tenant_id) WHERE f.tenant_id = $1`,
    `UPDATE models SET evaluation = jsonb_build_object(
       'users', 3, 'pairs', 9, 'pairwiseAccuracy', 0.75, 'standardError', 0.1, 'topK', '[0.5, 0.75, 1]'::jsonb,
       'calibrationError', 0.02, 'silhouette', 0.1, 'daviesBouldin', 2.5,
       'byHistory', '[{"likes": 1, "dislikes": 1, "pairwiseAccuracy": 0.6, "standardError": 0.1}]'::jsonb,
       'against', jsonb_build_object('modelId', id, 'difference', 0.01, 'standardError', 0.02),
       'baselines', '[{"name": "chance", "pairwiseAccuracy": 0.5, "standardError": 0}]'::jsonb) WHERE tenant_id = $1`,
    `INSERT INTO idempotency_keys (tenant_id, asker, operation, key, request_sha256, ids, user_errors, user_ids)
       SELECT $1, id, 'submitComparison', '${word}-kept-' || external_id, sha256('x'), '{}', '[]', ARRAY[id]
       FROM users WHERE tenant_id = $1`,
  ]) {
    await owner.query(statement, [tenantId]);
  }
}

/** What operations of a side are filled with: its own things; where a mutation asks for an id, one that never was. */
export function fillWith({ ada, shared, own }: Side): Fill {
  const ids: Readonly<Record<string, string>> = { ...ada, Image: shared, ...own };
  const values: Readonly<Record<string, (on: string | null) => unknown>> = {
    'Query.node(id)': (on) => ids[on ?? 'User'],
    'Query.nodes(ids)': () => [ada.User],
    'User.score(imageId)': () => shared,
    'User.rank(imageIds)': () => [shared],
    'Subscription.trainingProgress(jobId)': () => own.TrainingJob,
    'UpdateImageItem.id': () => shared,
    'StartTrainingInput.preferenceTokenCount': () => 10,
    'UpdateTenantSettingsInput.trainingSchedule': () => '0 3 * * 1',
    'UpdateTenantSettingsInput.trainAfterJudgements': () => 100,
    'UpsertUserItem.externalId': () => 'made by the matrix',
    UserRef: () => ({ id: ada.User }),
    ImageRef: () => ({ id: shared }),
    ID: () => unknownId('User'),
    String: () => 'a text',
    Boolean: () => false,
    Int: () => 1,
    Float: () => 1,
    DateTime: () => '2025-01-01T00:00:00.000Z',
  };
  return (coordinate, on) => values[coordinate]?.(on);
}
