/**
 * The registry of a tenant's model versions: how one comes in as a candidate, and how it is promoted. Exactly one
 * version is active; whoever changes which does so alone (versionTurns.ts). What a version needs before it can serve is
 * preparing.ts.
 */
import { currentTenant, type Database, type Queries } from '../database/client.ts';
import type { Model } from '../database/generated/client.ts';
import type { FileStore } from '../files/store.ts';
import type { ModelArtifact } from '../model/artifact.ts';
import type { Queue } from '../queue/queue.ts';
import { VERSION } from '../version.ts';
import { recordEvent } from './auditLog.ts';
import type { Caller } from './credentials.ts';
import { keepEvaluation, type ModelEvaluation } from './evaluations.ts';
import { idOf, newId, toGlobalId } from './ids.ts';
import { factsOf, keepTrained } from './modelFiles.ts';
import type { Networks, ServingVersion } from './models.ts';
import { readiness, tellPrepared, wantPrepared } from './preparing.ts';
import type { BaseModel } from './tenants.ts';
import { ItemError } from './userErrors.ts';
import { lockVersions } from './versionTurns.ts';

/** Of a transaction that writes a file of some megabytes, or counts all images and people. */
const TIMEOUT_MS = 120_000;
/** People of one statement. */
const PEOPLE_AT_ONCE = 5_000;

interface RegistryPlatform {
  readonly database: Database;
  readonly queue: Queue;
}

/** What a training made, with where it came from. */
export interface NewCandidate {
  readonly artifact: ModelArtifact;
  /** Row of the version it went on from. */
  readonly parentId: string;
  readonly seed: number;
  readonly datasetSha256: string;
  readonly evaluation: ModelEvaluation;
  /** Whose judgements were learned from, in batches. */
  readonly peopleIds: AsyncIterable<readonly string[]> | Iterable<readonly string[]>;
}

/**
 * Keeps a candidate of the session's tenant: its file is whole on the disk before the row that names it is there, and a
 * file whose row never came is swept later. Its preparation is sent in the same transaction.
 * @param also runs in that transaction, such as the training's own last words
 * Throws CONFLICT where a version has these very weights, NOT_FOUND where the parent is none of the tenant's, NOT_READY
 * where the disk is full.
 */
export async function addCandidate(
  { database, queue, weights }: RegistryPlatform & { readonly weights: FileStore },
  candidate: NewCandidate,
  also: (transaction: Queries, model: Model) => Promise<void>,
): Promise<Model> {
  const { artifact, parentId } = candidate;
  const tenantId = currentTenant();
  return database.$transaction(
    async (transaction) => {
      await lockVersions(transaction);
      const facts = factsOf(artifact);
      const same = await transaction.model.findFirst({ where: { sha256: facts.sha256 } });
      if (same) {
        const message = `The new weights are those of version ${same.version}: there is nothing to add.`;
        throw new ItemError([], 'CONFLICT', message);
      }
      if (!(await transaction.model.findFirst({ where: { id: parentId }, select: { id: true } }))) throw noModel();
      await keepTrained(weights, tenantId, artifact);
      try {
        return await addRows({ transaction, queue }, candidate, facts, also);
      } catch (error) {
        await weights.remove(tenantId, facts.sha256).catch(() => {}); // no row names it as long as the lock holds
        throw error;
      }
    },
    { timeout: TIMEOUT_MS },
  );
}

async function addRows(
  { transaction, queue }: { readonly transaction: Queries; readonly queue: Queue },
  { parentId, seed, datasetSha256, evaluation, peopleIds }: NewCandidate,
  facts: BaseModel,
  also: (transaction: Queries, model: Model) => Promise<void>,
): Promise<Model> {
  const { id, tenantId } = await addVersion(transaction, facts, {
    parentId,
    seed,
    datasetSha256,
    codeVersion: VERSION,
  });
  await keepEvaluation(transaction, id, evaluation);
  for await (const people of peopleIds) await keepPeople(transaction, { tenantId, modelId: id }, people);
  await queue.send(transaction, 'prepare', [{ tenantId, modelId: id }]);
  const model = await transaction.model.findFirstOrThrow({ where: { id } });
  await also(transaction, model);
  return model;
}

/** The next version, as a candidate; within `lockVersions`. */
async function addVersion(
  transaction: Queries,
  facts: BaseModel,
  origin: Partial<Pick<Model, 'parentId' | 'seed' | 'datasetSha256' | 'codeVersion'>>,
): Promise<Model> {
  const { sha256, towerHash: tower, imageEncoder, textEncoder, layers, heads, tokens } = facts;
  const { _max: newest } = await transaction.model.aggregate({ _max: { version: true } });
  return transaction.model.create({
    data: {
      ...{ tenantId: currentTenant(), id: newId(), version: (newest.version ?? -1) + 1, status: 'CANDIDATE' },
      ...{ sha256, tower, imageEncoder, textEncoder, layers, heads, tokens },
      ...origin,
    },
  });
}

async function keepPeople(
  transaction: Queries,
  of: { readonly tenantId: string; readonly modelId: string },
  people: readonly string[],
): Promise<void> {
  for (let start = 0; start < people.length; start += PEOPLE_AT_ONCE) {
    const data = people.slice(start, start + PEOPLE_AT_ONCE).map((userId) => ({ ...of, userId }));
    await transaction.trainingPerson.createMany({ data, skipDuplicates: true });
  }
}

const noModel = () => new ItemError(['id'], 'NOT_FOUND', 'There is no model with this id.');

interface PromotionPlatform extends RegistryPlatform {
  readonly networks: Networks;
  readonly serving?: ServingVersion;
  readonly now: () => Date;
}

export interface Promotion {
  readonly model: Model;
  /** The version that served until now; null where the same one serves on. */
  readonly retired: Model | null;
}

/**
 * Makes a version of the session's tenant the active one, in one transaction; promoting the active one changes nothing.
 * @param modelId id in the database
 * @param by null where the service promotes by itself
 * Throws an ItemError: NOT_FOUND; NOT_READY where it is not prepared, which it then becomes, or its file cannot be used.
 */
export async function promote(platform: PromotionPlatform, modelId: string, by: Caller | null): Promise<Promotion> {
  const { database, networks, serving } = platform;
  const row = await database.model.findFirst({ where: { id: modelId } });
  if (!row) throw noModel();
  await networks.of(row).catch((error: Error) => {
    throw new ItemError(['id'], 'NOT_READY', error.message);
  });
  // Counted first without the lock, which others wait for. The active one serves, prepared or not.
  const share = row.status === 'ACTIVE' ? 1 : await readiness(database, row);
  const outcome = share < 1 ? share : await activate(platform, row, by);
  if (typeof outcome === 'number') throw await notPrepared(platform, row, outcome);
  serving?.renew();
  return outcome;
}

/** Returns the share that is prepared where it is not all: nothing is changed then. */
function activate({ database, now }: PromotionPlatform, row: Model, by: Caller | null): Promise<Promotion | number> {
  return database.$transaction(
    async (transaction) => {
      await lockVersions(transaction);
      const active = await transaction.model.findFirstOrThrow({ where: { status: 'ACTIVE' } });
      if (active.id === row.id) return { model: active, retired: null };
      const share = await readiness(transaction, row);
      if (share < 1) return share;
      await exchange(transaction, active, row);
      if (by) {
        await recordEvent(transaction, by, now(), { action: 'promoteModel', subject: toGlobalId('Model', row.id) });
      }
      await tellPrepared(transaction, row.id);
      const model = await transaction.model.findFirstOrThrow({ where: { id: row.id } });
      return { model, retired: { ...active, status: 'RETIRED' } };
    },
    { timeout: TIMEOUT_MS },
  );
}

/** The error for a version that is not prepared, which it is from now on. */
async function notPrepared(
  { database, queue }: PromotionPlatform,
  { id, version }: Model,
  share: number,
): Promise<ItemError> {
  await database.$transaction((transaction) => wantPrepared(transaction, queue, id));
  const percent = Math.min(99.9, 100 * share).toFixed(1);
  const message = `Version ${version} is prepared by ${percent} %, and is being prepared: ask again when Model.readiness is 1.`;
  return new ItemError(['id'], 'NOT_READY', message);
}

/** The database's clock says when, for all replicas alike. */
async function exchange(transaction: Queries, active: Model, { id }: Model): Promise<void> {
  await transaction.model.updateMany({ where: { id: active.id }, data: { status: 'RETIRED' } });
  await transaction.shadow.deleteMany({ where: { modelId: id } }); // what serves is in no shadow
  // Later than every other: which one served last must not depend on how well clocks agree.
  await transaction.$executeRaw`
    UPDATE models SET status = 'ACTIVE', wanted_at = NULL, promoted_at = greatest(
      now(), (SELECT max(promoted_at) + interval '1 millisecond' FROM models WHERE tenant_id = ${currentTenant()}::uuid)
    ) WHERE tenant_id = ${currentTenant()}::uuid AND id = ${id}::uuid`;
}

/** {@link promote} by a global id, for a caller. */
export async function promoteModel(platform: PromotionPlatform, caller: Caller, globalId: string): Promise<Promotion> {
  const modelId = idOf('Model', globalId);
  if (modelId === null) throw noModel();
  return promote(platform, modelId, caller);
}

/** Share of the tenant's images and people that are prepared for a version, 0 to 1. */
export function readinessOf({ database }: { readonly database: Database }, model: Model): Promise<number> {
  return readiness(database, model);
}

/**
 * Where the session's tenant has no version with the weights that ship, adds them as a candidate. Returns it, or null.
 */
export async function offerBaseModel(
  { database, queue }: RegistryPlatform,
  baseModel: BaseModel,
): Promise<Model | null> {
  const { sha256 } = baseModel;
  const known = (queries: Queries) => queries.model.findFirst({ where: { sha256 }, select: { id: true } });
  if (await known(database)) return null;
  return database.$transaction(async (transaction) => {
    await lockVersions(transaction);
    if (await known(transaction)) return null;
    const tenantId = currentTenant();
    const model = await addVersion(transaction, baseModel, { codeVersion: VERSION });
    await queue.send(transaction, 'prepare', [{ tenantId, modelId: model.id }]);
    return model;
  });
}
