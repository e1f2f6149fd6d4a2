/**
 * A service of one's own with drawn tenants that may ask as much as they like, and what their people ask of it. It is the
 * API alone (`palate serve`): what is worked on behind it would be in the figures.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { startEmbeddedServer } from '../../src/database/embeddedServer.ts';
import { idOf } from '../../src/domain/ids.ts';
import type { PreferenceModel } from '../../src/inference/preferenceModel.ts';
import { candidatesOf, type DrawnSizes, type DrawnTenant, drawTenant, imageId, writeTenant } from './drawnTenant.ts';
import type { LoadPlan } from './load/load.ts';
import { makeDataDirectory, type RunningService, startService } from './service.ts';
import { makeOperatorKey, makeTenant, raisePoints, type Tenant } from './tenants.ts';

const RANK = `query ($externalId: String!, $imageIds: [ID!]!) {
  user(by: {externalId: $externalId}) { rank(imageIds: $imageIds) { scores { value } } }
}`;

/** The tenants have keys of their own. */
const NO_KEYS = { tenantId: '', adminKey: '', serviceKey: '' };

export interface DrawnServiceOptions {
  /** Makes the item vectors. */
  readonly model: PreferenceModel;
  readonly sizes: DrawnSizes;
  /** 1, if left out. */
  readonly tenants?: number;
  readonly environment?: Readonly<Record<string, string>>;
}

export interface ServedTenant extends Tenant {
  readonly drawn: DrawnTenant;
}

export interface DrawnService {
  readonly service: RunningService;
  readonly dataDirectory: string;
  readonly tenants: readonly ServedTenant[];
  stop(): Promise<void>;
}

/** Its tenants are still to be made, with the key of its operator. */
export async function startEmptyService(environment: Readonly<Record<string, string>> = {}) {
  const dataDirectory = await makeDataDirectory();
  const service = await startService({ dataDirectory, part: { command: 'serve', keys: NO_KEYS }, environment });
  const stop = async (): Promise<void> => {
    await service.stop();
    await rm(dataDirectory, { recursive: true, force: true });
  };
  try {
    return { service, dataDirectory, operatorKey: await makeOperatorKey(dataDirectory, 'bench'), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

export async function startDrawnService(options: DrawnServiceOptions): Promise<DrawnService> {
  const { model, sizes, tenants: count = 1, environment = {} } = options;
  const { service, dataDirectory, operatorKey, stop } = await startEmptyService(environment);
  try {
    const tenants: ServedTenant[] = [];
    for (let i = 0; i < count; i++) {
      const tenant = await makeTenant(service.url, dataDirectory, `bench ${i}`, operatorKey);
      await raisePoints(service.url, operatorKey, tenant.id);
      const drawn = await drawTenant(model, sizes);
      await inDatabase(dataDirectory, (url) => writeTenant(url, idOf('Tenant', tenant.id)!, drawn));
      tenants.push({ ...tenant, drawn });
    }
    return { service, dataDirectory, tenants, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Works on the embedded database of a running service, as its superuser. */
export async function inDatabase(dataDirectory: string, work: (url: string) => Promise<void>): Promise<void> {
  const server = await startEmbeddedServer(join(dataDirectory, 'database'));
  try {
    await work(server.url);
  } finally {
    await server.stop();
  }
}

/** Each connection's next request is another person's, as many people as connections. */
export function rankPlan(
  { url, serviceKey, drawn }: ServedTenant,
  connections: number,
  candidates: number,
): Omit<LoadPlan, 'seconds'> {
  const bodies = drawn.people.slice(0, connections).map(({ externalId }, person) => {
    const imageIds = candidatesOf(drawn, person, candidates).map((place) => imageId(drawn, place));
    return JSON.stringify({ query: RANK, variables: { externalId, imageIds } });
  });
  return { url, key: serviceKey, bodies, connections };
}
