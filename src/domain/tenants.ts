/**
 * Tenants: made with the base model as their version 0 and their first key, described and bounded by an operator, set
 * up by their own ADMIN. Each function works in the tenant's own session, whoever asked.
 */
import { currentTenant, type Database, NO_TENANT, type Queries, withTenant } from '../database/client.ts';
import type { Tenant } from '../database/generated/client.ts';
import { checkPoints, makeApiKey } from './apiKeys.ts';
import { recordEvent } from './auditLog.ts';
import type { Caller } from './credentials.ts';
import { tellOfKeys } from './forgetting.ts';
import { idOf, newId, toGlobalId } from './ids.ts';
import { countImages } from './images.ts';
import type { KnownKeys } from './knownKeys.ts';
import { checkFirst, fromCursor, type Page, type PageArgs, toCursor, toPage, UUID_PATTERN } from './pages.ts';
import type { ShownScores } from './shownScores.ts';
import { type TokenSettingsChange, type TokenSettingsKeeping, toTokenSettings } from './tokenSettings.ts';
import { type TrainingTimesChange, toTrainingTimes } from './trainingTimes.ts';
import { checkText, ItemError } from './userErrors.ts';
import { countUsers } from './users.ts';

/** The longest name of a tenant, in characters. */
const MAX_TENANT_NAME = 200;
/** The most images or users that a tenant can be allowed: PostgreSQL's integer. */
const MAX_QUOTA = 2_147_483_647;

/** What a tenant's row keeps of the model it begins with; a loaded preference model has all of it. */
export interface BaseModel {
  /** SHA-256 of the weights. */
  readonly sha256: string;
  /** Hash of the item tower. */
  readonly towerHash: string;
  /** SHA-256 of the encoders. */
  readonly imageEncoder: string;
  readonly textEncoder: string;
  readonly layers: number;
  readonly heads: number;
  readonly tokens: number;
}

interface TenantPlatform {
  readonly database: Database;
  readonly now: () => Date;
}

export interface NewTenant {
  readonly tenant: Tenant;
  /** The whole of its first ADMIN key; it is not kept. */
  readonly adminKey: string;
}

/**
 * Makes a tenant. `caller` is null where the program itself makes one.
 * Throws an ItemError where the name is empty or too long.
 */
export async function createTenant(
  { database, now, baseModel }: TenantPlatform & { readonly baseModel: BaseModel },
  caller: Caller | null,
  name: string,
): Promise<NewTenant> {
  checkText('name', name, MAX_TENANT_NAME, true);
  const tenantId = newId();
  return withTenant(tenantId, () =>
    database.$transaction(async (transaction) => {
      const tenant = await transaction.tenant.create({ data: { id: tenantId, name } });
      await transaction.model.create({
        data: {
          tenantId,
          id: newId(),
          version: 0,
          status: 'ACTIVE',
          sha256: baseModel.sha256,
          tower: baseModel.towerHash,
          imageEncoder: baseModel.imageEncoder,
          textEncoder: baseModel.textEncoder,
          layers: baseModel.layers,
          heads: baseModel.heads,
          tokens: baseModel.tokens,
          promotedAt: tenant.createdAt,
        },
      });
      const { secret } = await makeApiKey(transaction, { name: 'first admin', role: 'ADMIN' });
      if (caller) await recordEvent(transaction, caller, now(), actionOn('createTenant', tenantId));
      return { tenant, adminKey: secret };
    }),
  );
}

export interface TenantChange {
  readonly name?: string | null | undefined;
  readonly suspended?: boolean | null | undefined;
  readonly pointsPerMinute?: number | null | undefined;
  readonly maxImages?: number | null | undefined;
  readonly maxUsers?: number | null | undefined;
}

/**
 * Changes what is given and leaves the rest. What is there beyond a lowered limit stays; no more is taken in.
 * Throws an ItemError: NOT_FOUND, or INVALID or TOO_LARGE for a value out of its range.
 */
export async function updateTenant(
  { database, knownKeys, now }: TenantPlatform & { readonly knownKeys: KnownKeys },
  caller: Caller,
  globalId: string,
  change: TenantChange,
): Promise<Tenant> {
  const { name, suspended, pointsPerMinute, maxImages, maxUsers } = change;
  checkText('name', name, MAX_TENANT_NAME, true);
  if (pointsPerMinute !== null && pointsPerMinute !== undefined) checkPoints(pointsPerMinute);
  checkQuota('maxImages', maxImages);
  checkQuota('maxUsers', maxUsers);
  const id = tenantIdOf(globalId);
  const updated = await withTenant(id, () =>
    database.$transaction(async (transaction) => {
      const tenant = await readTenant(transaction);
      if (!tenant) throw noTenant();
      const since = suspended ? (tenant.suspendedAt ?? now()) : null;
      const changed = await transaction.tenant.update({
        where: { id },
        data: {
          name: name ?? tenant.name,
          suspendedAt: suspended === null || suspended === undefined ? tenant.suspendedAt : since,
          pointsPerMinute: pointsPerMinute ?? tenant.pointsPerMinute,
          maxImages: maxImages ?? tenant.maxImages,
          maxUsers: maxUsers ?? tenant.maxUsers,
        },
      });
      await recordEvent(transaction, caller, now(), actionOn('updateTenant', id));
      await tellOfKeys(transaction, id);
      return changed;
    }),
  );
  knownKeys.forgetTenant(id);
  return updated;
}

function checkQuota(field: 'maxImages' | 'maxUsers', value: number | null | undefined): void {
  if (value === null || value === undefined || (value >= 0 && value <= MAX_QUOTA)) return;
  throw new ItemError([field], 'INVALID', `${field} is ${value}; it must be a whole number from 0 to ${MAX_QUOTA}.`);
}

/** The database's id. Throws an ItemError where the global id is no tenant's. */
export function tenantIdOf(globalId: string): string {
  const id = idOf('Tenant', globalId);
  if (id === null || id === NO_TENANT) throw noTenant();
  return id;
}

export const noTenant = () => new ItemError(['id'], 'NOT_FOUND', 'There is no tenant with this id.');

export interface TenantSettingsChange extends TokenSettingsChange, TrainingTimesChange {
  readonly anonymousSimilarity?: boolean | null | undefined;
  readonly keepExposures?: boolean | null | undefined;
}

/**
 * Changes the settings of the session's tenant that are given, and leaves the rest.
 * Throws an ItemError, INVALID or TOO_LARGE, for what people's tokens cannot be verified by, and for a schedule that is
 * none.
 */
export async function updateTenantSettings(
  {
    database,
    now,
    shownScores,
    ...keeping
  }: TenantPlatform & TokenSettingsKeeping & { readonly shownScores: ShownScores },
  caller: Caller,
  { anonymousSimilarity, keepExposures, ...change }: TenantSettingsChange,
): Promise<Tenant> {
  const id = currentTenant();
  const data = {
    ...(typeof anonymousSimilarity === 'boolean' ? { anonymousSimilarity } : {}),
    ...(typeof keepExposures === 'boolean' ? { keepExposures } : {}),
    ...toTokenSettings(keeping, id, change),
    ...toTrainingTimes(change, now()),
  };
  const updated = await database.$transaction(async (transaction) => {
    const tenant = await transaction.tenant.update({ where: { id }, data });
    await recordEvent(transaction, caller, now(), actionOn('updateTenantSettings', id));
    return tenant;
  });
  shownScores.forgetWishes(id);
  return updated;
}

const actionOn = (action: string, tenantId: string) => ({ action, subject: toGlobalId('Tenant', tenantId) });

/** The tenant of the session; null where there is none, such as one that was deleted since. */
export function readTenant(queries: Queries): Promise<Tenant | null> {
  return queries.tenant.findFirst({ where: { id: currentTenant() } });
}

/** The tenant of this id, for an operator; null for an id of none. */
export async function findTenant(database: Database, id: string): Promise<Tenant | null> {
  return id === NO_TENANT ? null : withTenant(id, () => readTenant(database));
}

/** Every tenant, newest first, in an operator's session. Throws BAD_USER_INPUT for a bad `first` or cursor. */
export async function pageTenants(queries: Queries, page: PageArgs): Promise<Page<Tenant>> {
  checkFirst(page.first);
  const [, before] = fromCursor(page.after, [/^tenants$/, UUID_PATTERN]) ?? [];
  const rows = await queries.tenant.findMany({
    where: { id: { not: NO_TENANT, ...(before ? { lt: before } : {}) } },
    orderBy: { id: 'desc' },
    take: page.first + 1,
  });
  return toPage(rows, page, ({ id }) => toCursor('tenants', id));
}

/** How much a tenant holds, for its ADMIN and for an operator, who sees no more of it. */
export const tenantCounts = {
  users: (database: Database, tenantId: string) => withTenant(tenantId, () => countUsers(database)),
  images: (database: Database, tenantId: string) => withTenant(tenantId, () => countImages(database, {})),
  feedback: (database: Database, tenantId: string) => withTenant(tenantId, () => database.feedback.count()),
};
