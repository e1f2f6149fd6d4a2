/**
 * Model versions: which one serves a tenant, and the network that a version's row stands for. Networks are loaded when
 * the service starts and shared by every tenant whose rows name the same weights.
 */
import type { Database } from '../database/client.ts';
import type { Model } from '../database/generated/client.ts';
import { PalateError } from '../errors.ts';
import type { PreferenceModel } from '../inference/preferenceModel.ts';

/** A version in service: its row and its network. */
export interface ServingModel {
  row: Model;
  network: PreferenceModel;
}

/** The networks on this machine, by the SHA-256 of their weights. */
export class Networks {
  readonly #bySha256: ReadonlyMap<string, PreferenceModel>;

  constructor(networks: readonly PreferenceModel[]) {
    this.#bySha256 = new Map(networks.map((network) => [network.sha256, network]));
  }

  /** Throws NOT_READY where no network is loaded. */
  check(): void {
    if (this.#bySha256.size === 0) throw new PalateError('NOT_READY', 'No preference model is loaded.');
  }

  /** Throws NOT_READY where this machine has no such weights. */
  of(row: Model): ServingModel {
    const network = this.#bySha256.get(row.sha256);
    if (network) return { row, network };
    throw new PalateError(
      'NOT_READY',
      `Model version ${row.version} has the weights ${row.sha256}, which are not on this machine: install the release that shipped them.`,
    );
  }
}

/** The version that serves the tenant of the session. Throws NOT_READY where its weights are not on this machine. */
export async function activeModel(platform: { database: Database; networks: Networks }): Promise<ServingModel> {
  const row = await platform.database.model.findFirstOrThrow({ where: { status: 'ACTIVE' } });
  return platform.networks.of(row);
}

/** Rows by id, in no order; ids that are none of the tenant's are left out. */
export function findModels(database: Database, ids: readonly string[]): Promise<Model[]> {
  return database.model.findMany({ where: { id: { in: [...ids] } } });
}
