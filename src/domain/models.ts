/**
 * Model versions: which one serves a tenant, and the network that a version's row stands for. The network that ships is
 * there from the start and shared by every tenant that serves it; a tenant's own are loaded when they are first asked
 * for. A version whose file cannot be used is refused, and the one that served before it serves in its place.
 */
import { LRUCache } from 'lru-cache';
import type { Database, Queries } from '../database/client.ts';
import type { Model } from '../database/generated/client.ts';
import { SharedReads } from '../database/sharedReads.ts';
import { PalateError } from '../errors.ts';
import type { FileStore } from '../files/store.ts';
import type { Waiting } from '../inference/batcher.ts';
import { EngineUnavailable } from '../inference/engine/engine.ts';
import { ALONE, type BatchOptions, ModelBatches, type ModelTurn } from '../inference/modelBatches.ts';
import { PreferenceModel } from '../inference/preferenceModel.ts';
import type { SessionHost } from '../inference/sessionHost.ts';
import type { ModelArtifact } from '../model/artifact.ts';
import { ErasedIds } from './erasedIds.ts';
import { folderOf, readModelFile } from './modelFiles.ts';
import { checkFirst, fromCursor, type Page, type PageArgs, toCursor, toPage } from './pages.ts';

/** A version in service: its row and its network. */
export interface ServingModel {
  row: Model;
  /** What it is. */
  network: PreferenceModel;
  /** What runs it, in batches with all others' who ask. */
  turn: ModelTurn;
}

/** How long somebody waits for an answer. */
export type Patience = Pick<Waiting, 'deadline' | 'signal'>;

/** As much of a logger as this needs. */
export interface ModelLog {
  info(details: object, message: string): void;
  error(details: object, message: string): void;
}

export interface NetworkOptions {
  /** The network that ships with this release: open as long as the service runs. */
  readonly base: PreferenceModel;
  /** Where versions' files are read from. */
  readonly files: FileStore;
  /** Memory for the networks of tenants' own; the least recently used is dropped first. */
  readonly maxBytes: number;
  /** Whose thread runs the networks of tenants' own; the caller's own, if left out. */
  readonly host?: SessionHost;
  /** How those who ask wait for each other; not at all, if left out. */
  readonly batches?: BatchOptions;
  readonly log: ModelLog;
}

/** A file that could not be used is read again after so long: it may have been copied anew. */
const REFUSED_FOR_MS = 30_000;
/** Versions that are known to be refused. */
const MOST_REFUSED = 10_000;
/** A network's memory for each byte of its weights: the numbers, and the sessions that hold them again. */
const MEMORY_A_BYTE = 4;

/**
 * The networks on this machine. One that is dropped from memory stays usable for whoever holds it: its sessions are
 * released with the last reference, so no request finds its network closed.
 */
export class Networks {
  readonly #options: NetworkOptions;
  readonly #loaded: LRUCache<string, PreferenceModel>;
  readonly #loading = new Map<string, Promise<PreferenceModel>>();
  readonly #refused = new LRUCache<string, PalateError>({ max: MOST_REFUSED, ttl: REFUSED_FOR_MS });
  readonly #erased = new ErasedIds();
  /** Shared by all tenants that a network serves; they go with it. */
  readonly #batches = new WeakMap<PreferenceModel, ModelBatches>();
  /** By the id of an active version that is refused, the id of the one that serves in its place. */
  readonly #standIns = new LRUCache<string, string>({ max: MOST_REFUSED });

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.#loaded = new LRUCache({
      maxSize: Math.max(1, options.maxBytes),
      sizeCalculation: ({ manifest }) => MEMORY_A_BYTE * manifest.weights.bytes,
    });
  }

  /** What ships. */
  get base(): PreferenceModel {
    return this.#options.base;
  }

  /**
   * A version with its network, loaded where need be. Throws NOT_READY where its file cannot be used.
   * @param patience of whoever waits for what it is asked; work in the background, if left out
   */
  async of(row: Model, patience: Patience | undefined = undefined): Promise<ServingModel> {
    const network = this.#isBase(row) ? this.base : await this.#own(row);
    const waiting = { lane: row.tenantId, ...(patience ?? { background: true }) };
    return { row, network, turn: this.#batchesOf(network).turn(waiting) };
  }

  /** A version's numbers. Throws NOT_READY where its file cannot be used. */
  async artifactOf(row: Model): Promise<ModelArtifact> {
    return this.#isBase(row) ? this.base.artifact : readModelFile(this.#options.files, row);
  }

  /** Writes down, once, that a version serves in place of the active one, whose file cannot be used. */
  standIn(active: Model, row: Model): void {
    if (this.#standIns.get(active.id) === row.id) return;
    this.#standIns.set(active.id, row.id);
    this.#options.log.error(
      { tenant: active.tenantId, model: row.id, version: row.version, refused: active.version },
      'an earlier model version serves in place of the active one, whose file cannot be used',
    );
  }

  /** Writes down, once, that the active version serves again. */
  serves(active: Model): void {
    if (!this.#standIns.delete(active.id)) return;
    const { tenantId, id, version } = active;
    this.#options.log.info({ tenant: tenantId, model: id, version }, 'the active model version serves again');
  }

  /** Drops a tenant's own networks for good. */
  forgetTenant(tenantId: string): void {
    this.#erased.add([tenantId]);
    for (const key of [...this.#loaded.keys()]) if (key.startsWith(`${tenantId} `)) this.#loaded.delete(key);
  }

  /** Releases what is in memory, but for the base, once nobody asks any more. */
  async close(): Promise<void> {
    const open = [...this.#loaded.values()];
    this.#loaded.clear();
    await Promise.all(open.map((network) => network.close()));
  }

  /** How many networks of tenants' own are in memory. */
  get size(): number {
    return this.#loaded.size;
  }

  #batchesOf(network: PreferenceModel): ModelBatches {
    const known = this.#batches.get(network) ?? new ModelBatches(network, this.#options.batches ?? ALONE);
    this.#batches.set(network, known);
    return known;
  }

  #isBase({ sha256, parentId }: Model): boolean {
    return parentId === null && sha256 === this.base.sha256;
  }

  /** However many ask at once, the file is read once. */
  async #own(row: Model): Promise<PreferenceModel> {
    const key = `${folderOf(row)} ${row.sha256}`;
    const known = this.#loaded.get(key);
    if (known) return known;
    const refused = this.#refused.get(key);
    if (refused) throw refused;
    const loading = this.#loading.get(key) ?? this.#load(key, row).finally(() => this.#loading.delete(key));
    this.#loading.set(key, loading);
    return loading;
  }

  async #load(key: string, row: Model): Promise<PreferenceModel> {
    try {
      const network = await PreferenceModel.open(await readModelFile(this.#options.files, row), this.#options.host);
      if (!this.#erased.has(row.tenantId)) this.#loaded.set(key, network);
      return network;
    } catch (error) {
      if (error instanceof EngineUnavailable) throw error; // that says nothing of the file
      const { tenantId, id, version } = row;
      this.#options.log.error({ err: error, tenant: tenantId, model: id, version }, 'a model version is refused');
      const refusal = new PalateError(
        'NOT_READY',
        `Model version ${version} cannot be used: its file is missing, damaged, of a newer format or cannot be reached. Whoever runs the service finds the reason in its log.`,
        { cause: error },
      );
      this.#refused.set(key, refusal);
      throw refusal;
    }
  }
}

/** The version that one request works with: read when it first needs it, and the same from then on. */
export class ServingVersion {
  #model: Promise<ServingModel> | null = null;

  hold(read: () => Promise<ServingModel>): Promise<ServingModel> {
    this.#model ??= read();
    return this.#model;
  }

  /** After a promotion within the request: what follows is of the version that serves now. */
  renew(): void {
    this.#model = null;
  }
}

const ACTIVE = 'ACTIVE';
export type ActiveRows = SharedReads<typeof ACTIVE, Model>;

export interface ModelPlatform {
  readonly database: Database;
  readonly activeRows: ActiveRows;
  readonly networks: Networks;
  /** Of one request; whoever has none reads the version anew each time. */
  readonly serving?: ServingVersion;
  /** Of who asks; whoever has none works in the background. */
  readonly patience?: Patience | undefined;
}

/**
 * The version that serves the tenant of the session: the active one, or where its file cannot be used, of those that
 * served before it the last that can. Throws NOT_READY where none can.
 */
export function activeModel(platform: ModelPlatform): Promise<ServingModel> {
  const read = () => readServing(platform);
  return platform.serving ? platform.serving.hold(read) : read();
}

/** Reads the row of the active version, for all requests of a tenant that ask at once. */
export const activeRows = (database: Database): ActiveRows =>
  new SharedReads(
    async () => new Map([[ACTIVE, await database.model.findFirstOrThrow({ where: { status: ACTIVE } })]]),
  );

async function readServing({ database, activeRows, networks, patience }: ModelPlatform): Promise<ServingModel> {
  const row = (await activeRows.read([ACTIVE])).get(ACTIVE)!;
  try {
    const model = await networks.of(row, patience);
    networks.serves(row);
    return model;
  } catch (refusal) {
    if (!(refusal instanceof PalateError) || refusal instanceof EngineUnavailable) throw refusal;
    const model = await lastGood({ database, networks, patience });
    if (!model) throw refusal;
    networks.standIn(row, model.row);
    return model;
  }
}

/** Of the versions that served before, the last promoted whose file can be used. */
async function lastGood({
  database,
  networks,
  patience,
}: Omit<ModelPlatform, 'activeRows'>): Promise<ServingModel | null> {
  for (const row of await retiredModels(database)) {
    const model = await networks.of(row, patience).catch(() => null);
    if (model) return model;
  }
  return null;
}

/** Versions that served before, the last promoted first. */
function retiredModels(queries: Queries): Promise<Model[]> {
  return queries.model.findMany({
    where: { status: 'RETIRED' },
    orderBy: [{ promotedAt: { sort: 'desc', nulls: 'last' } }, { version: 'desc' }],
  });
}

/** The tenant's versions, newest first. Throws BAD_USER_INPUT for a bad `first` or cursor. */
export async function pageModels(queries: Queries, page: PageArgs): Promise<Page<Model>> {
  checkFirst(page.first);
  const [, before] = fromCursor(page.after, [/^models$/, /^\d{1,9}$/]) ?? [];
  const rows = await queries.model.findMany({
    where: before ? { version: { lt: Number(before) } } : {},
    orderBy: { version: 'desc' },
    take: page.first + 1,
  });
  return toPage(rows, page, ({ version }) => toCursor('models', String(version)));
}

/** Rows by id, in no order; ids that are none of the tenant's are left out. */
export function findModels(database: Database, ids: readonly string[]): Promise<Model[]> {
  return database.model.findMany({ where: { id: { in: [...ids] } } });
}

/**
 * The numbers of one of the tenant's versions, as its file has them, to train on from. Throws NOT_FOUND where no version
 * has these weights, NOT_READY where its file cannot be used.
 */
export async function loadWeights(
  { database, networks }: Pick<ModelPlatform, 'database' | 'networks'>,
  sha256: string,
): Promise<ModelArtifact> {
  const row = await database.model.findFirst({ where: { sha256 }, orderBy: { version: 'desc' } });
  if (row) return networks.artifactOf(row);
  throw new PalateError('NOT_FOUND', `The tenant has no model version with the weights ${sha256}.`);
}
