/**
 * A shadow: a candidate that scores a share of requests beside the active model, unseen by whoever asked. What it says is
 * compared with what was answered, and kept as exposures of its own. It ends by itself when it is a candidate no more.
 */
import { currentTenant, type Database, type Queries } from '../database/client.ts';
import type { Model, Shadow } from '../database/generated/client.ts';
import { recordEvent } from './auditLog.ts';
import type { Caller } from './credentials.ts';
import { idOf, toGlobalId } from './ids.ts';
import type { Networks } from './models.ts';
import { readinessOf } from './registry.ts';
import type { ShownScores } from './shownScores.ts';
import { ItemError } from './userErrors.ts';

/** Of requests, where nothing else is said. */
const SHARE = 0.1;

export interface ShadowChange {
  /** Global id of a candidate; null ends the shadow. */
  readonly modelId?: string | null | undefined;
  readonly share?: number | null | undefined;
}

interface ShadowPlatform {
  readonly database: Database;
  readonly networks: Networks;
  readonly shownScores: ShownScores;
  readonly now: () => Date;
}

/** A shadow and the candidate that it is of. */
export type ShadowOf = Shadow & { readonly model: Model };

/**
 * Lets a prepared candidate of the session's tenant score a share of requests, in place of any other; another share of
 * the same candidate's goes on counting. Null where it is ended.
 * Throws an ItemError: NOT_FOUND, INVALID for a version that is no candidate and for a share out of its range, NOT_READY
 * where it is not prepared.
 */
export async function setShadow(
  { database, networks, shownScores, now }: ShadowPlatform,
  caller: Caller,
  { modelId, share }: ShadowChange,
): Promise<ShadowOf | null> {
  const wanted = share ?? SHARE;
  if (!(wanted > 0 && wanted <= 1)) {
    throw new ItemError(['share'], 'INVALID', `share is ${wanted}; it must be above 0 and at most 1.`);
  }
  const model = typeof modelId === 'string' ? await preparedCandidate({ database, networks }, modelId) : null;
  const tenantId = currentTenant();
  const set = await database.$transaction(async (transaction) => {
    const subject = model ? toGlobalId('Model', model.id) : null;
    await recordEvent(transaction, caller, now(), { action: 'setShadow', subject });
    await transaction.shadow.deleteMany({ where: model ? { modelId: { not: model.id } } : {} });
    if (!model) return null;
    const shadow = await transaction.shadow.upsert({
      where: { tenantId },
      create: { tenantId, modelId: model.id, share: wanted },
      update: { share: wanted },
    });
    return { ...shadow, model };
  });
  shownScores.forgetWishes(tenantId);
  return set;
}

async function preparedCandidate(
  { database, networks }: Pick<ShadowPlatform, 'database' | 'networks'>,
  globalId: string,
): Promise<Model> {
  const id = idOf('Model', globalId);
  const model = id === null ? null : await database.model.findFirst({ where: { id } });
  if (!model) throw new ItemError(['modelId'], 'NOT_FOUND', 'There is no model with this id.');
  const { version, status } = model;
  if (status !== 'CANDIDATE') {
    const message = `Version ${version} is ${status}; only a CANDIDATE can score beside the active version.`;
    throw new ItemError(['modelId'], 'INVALID', message);
  }
  const readiness = await readinessOf({ database }, model);
  if (readiness < 1) {
    const message = `Version ${version} is prepared by ${(100 * readiness).toFixed(1)} %: ask again when Model.readiness is 1.`;
    throw new ItemError(['modelId'], 'NOT_READY', message);
  }
  await networks.of(model).catch((error: Error) => {
    throw new ItemError(['modelId'], 'NOT_READY', error.message);
  });
  return model;
}

/** The shadow of the session's tenant; null where there is none, or its model is a candidate no more. */
export function findShadow(queries: Queries): Promise<ShadowOf | null> {
  return queries.shadow.findFirst({ where: { model: { status: 'CANDIDATE' } }, include: { model: true } });
}

/** Of the pairs that both models ranked, the share that they ranked alike; null where there are none. */
export function agreementOf({ pairs, alike }: Pick<Shadow, 'pairs' | 'alike'>): number | null {
  return pairs === 0n ? null : alike / Number(pairs);
}

/** What a shadow said beside what was answered. */
export interface Agreement {
  /** Scores that both models gave. */
  readonly scored: number;
  readonly pairs: number;
  readonly alike: number;
}

/**
 * Compares two models' margins of the same images, in the same order: of each pair, whether both put the same one first.
 * A tie of one of them counts a half, a tie of both is alike.
 */
export function compareMargins(one: readonly number[], other: readonly number[]): Agreement {
  let [pairs, alike] = [0, 0];
  for (let a = 0; a < one.length; a++) {
    for (let b = a + 1; b < one.length; b++) {
      const [first, second] = [Math.sign(one[a]! - one[b]!), Math.sign(other[a]! - other[b]!)];
      pairs += 1;
      alike += first === second ? 1 : first * second === 0 ? 0.5 : 0;
    }
  }
  return { scored: one.length, pairs, alike };
}

/** Adds what was found to the shadow, if it is still this model's. */
export async function addAgreement(
  queries: Queries,
  modelId: string,
  { scored, pairs, alike }: Agreement,
): Promise<void> {
  await queries.$executeRaw`
    UPDATE shadows SET scored = scored + ${scored}::int, pairs = pairs + ${pairs}::bigint, alike = alike + ${alike}::float8
    WHERE tenant_id = ${currentTenant()}::uuid AND model_id = ${modelId}::uuid`;
}
