/**
 * The READY images of the tenants used lately, kept in memory and brought up to date by what changed: who may see each,
 * its collection, and the metrics by which recommendations begin, questions are chosen and images are alike. Whoever asks
 * sees what was written before, by any replica; what others made of images is a minute old at most, since the best are
 * scored anew. A deletion alone is heard of, and not read: what must not be among an answer is confirmed before.
 */
import { currentTenant, type Database, Prisma, withTenant } from '../database/client.ts';
import { fromHalfFloats } from '../halfFloats.ts';
import { metricsOf, PopulationPrior, shortlist } from '../inference/firstPass.ts';
import { NeighbourIndex } from '../inference/neighbours.ts';
import type { Popularity, PreferenceModel, UserState } from '../inference/preferenceModel.ts';
import type { SessionHost } from '../inference/sessionHost.ts';
import { CHANGES_AT_ONCE, type ChangePlace, ChangeReader, changesAfter, SharedTurns } from './changes.ts';
import { toItemVector } from './itemVectors.ts';
import { isSeenBy } from './judged.ts';
import type { ServingModel } from './models.ts';
import { TenantMemory } from './tenantMemory.ts';

/** How old what others made of images may be in the first pass. */
const POPULARITY_KEPT_MS = 60_000;
/** Memory of an image beside its numbers, roughly: its row and its ids. */
const BYTES_OF_ROW = 400;
const NOTHING_KNOWN: Popularity = { sum: 0, count: 0 };

/** Which images are asked for. */
export interface ImageChoice {
  readonly userId: string;
  /** Of one collection, or of all. */
  readonly collection: string | null;
  /** Ids of images that are left out. */
  readonly judged: ReadonlySet<string> | undefined;
}

export interface SimilarImagesRequest {
  readonly imageId: string;
  /** Whose the image is. */
  readonly ownerId: string | null;
  readonly first: number;
}

interface CatalogueImage {
  readonly id: string;
  readonly ownerId: string | null;
  readonly collection: string | null;
  /** Half floats: image and text metric. */
  readonly metrics: Uint16Array;
  /** What the population prior expects of it. */
  readonly expected: number;
}

type ChangedImage = ChangePlace & {
  ownerId: string | null;
  collection: string | null;
  isReady: boolean;
  vector: Uint8Array | null;
};

export class ImageCatalogue {
  readonly #images = new Map<string, CatalogueImage>();
  /** Of all images; null where they have changed since. */
  #newestFirst: readonly CatalogueImage[] | null = null;
  /** The image metrics again, to be searched: made when first asked for. */
  #neighbours: NeighbourIndex | null = null;
  readonly #reader = new ChangeReader();
  readonly #turns = new SharedTurns();
  /** READY and without a vector in this tower when they were last looked at. */
  readonly #waiting = new Set<string>();
  readonly #network: PreferenceModel;
  readonly #prior: PopulationPrior;
  readonly #searches: SessionHost | undefined;
  readonly #isErased: (imageId: string) => boolean;
  #popularity = new Map<string, Popularity>();
  #popularityReadAt = Number.NEGATIVE_INFINITY;

  constructor(network: PreferenceModel, searches: SessionHost | undefined, isErased: (imageId: string) => boolean) {
    this.#network = network;
    this.#prior = new PopulationPrior(network);
    this.#searches = searches;
    this.#isErased = isErased;
  }

  get byteLength(): number {
    const [image] = this.#images.values();
    const rows = this.#images.size * (BYTES_OF_ROW + (image?.metrics.byteLength ?? 0));
    return 1_024 + rows + (this.#neighbours?.byteLength ?? 0);
  }

  *ids(): Generator<string> {
    for (const { id, ownerId } of this.#images.values()) {
      yield id;
      if (ownerId) yield ownerId;
    }
  }

  delete(imageId: string): void {
    if (this.#images.delete(imageId)) this.#newestFirst = null;
    this.#neighbours?.delete(imageId);
    this.#waiting.delete(imageId);
  }

  follow(database: Database, model: ServingModel): Promise<void> {
    return this.#turns.take(async () => {
      const waiting = [...this.#waiting];
      if (waiting.length > 0) for (const row of await readImages(database, model, waiting)) this.#take(row);
      for await (const rows of this.#reader.read(database, imagePages(database, model))) {
        for (const row of rows) this.#take(row);
      }
      if (!model.network.readsPopularity || performance.now() < this.#popularityReadAt + POPULARITY_KEPT_MS) return;
      this.#popularity = await readAllPopularity(database);
      this.#popularityReadAt = performance.now();
    });
  }

  /** The images of a choice, newest first. */
  chosen(choice: ImageChoice): CatalogueImage[] {
    this.#newestFirst ??= [...this.#images.values()].sort((a, b) => (a.id > b.id ? -1 : 1));
    return this.#newestFirst.filter(
      ({ id, ownerId, collection }) =>
        isSeenBy(choice.userId, ownerId) &&
        (choice.collection === null || collection === choice.collection) &&
        !choice.judged?.has(id),
    );
  }

  /** Of unit length; undefined where the image is not READY. */
  imageMetric(imageId: string): Float32Array | undefined {
    const image = this.#images.get(imageId);
    return image && fromHalfFloats(image.metrics.subarray(0, this.#network.manifest.architecture.imageMetric));
  }

  /**
   * The images that are most alike to one, nearest first, itself left out: everybody's, and those of the same owner as it
   * has. None are, where it is not READY.
   */
  async nearest({ imageId, ownerId, first }: SimilarImagesRequest): Promise<string[]> {
    const metric = this.imageMetric(imageId);
    if (!metric) return [];
    const isSeen = (id: string) => {
      const owner = this.#images.get(id)?.ownerId;
      return owner === null || (owner !== undefined && owner === ownerId);
    };
    const [nearest] = await this.#searched().nearest([metric], first + 1, isSeen);
    return nearest!
      .map(({ id }) => id)
      .filter((id) => id !== imageId)
      .slice(0, first);
  }

  /** Drops which of these images are no more. Returns whether all of them still are. Index: images_pkey. */
  async confirm(database: Database, imageIds: readonly string[]): Promise<boolean> {
    const ids = imageIds.join(','); // one text: as a parameter each, they would be checked on their way
    const rows = await database.$queryRaw<{ id: string }[]>`
      SELECT id FROM images
      WHERE tenant_id = ${currentTenant()}::uuid AND id = ANY(string_to_array(${ids}, ',')::uuid[])`;
    const present = new Set(rows.map(({ id }) => id));
    const gone = imageIds.filter((id) => !present.has(id));
    for (const id of gone) this.delete(id);
    return gone.length === 0;
  }

  /**
   * The images of a choice that the person may like best, in no order: all where they are few, else so many by the
   * first pass, the newest of those that it does not tell apart.
   */
  async shortlist(model: ServingModel, state: UserState, choice: ImageChoice, atMost: number): Promise<string[]> {
    const images = this.chosen(choice);
    if (images.length <= atMost) return images.map(({ id }) => id);
    const known = images.map(({ id, metrics, expected }) => ({
      id,
      metrics,
      prior: this.#prior.margin(expected, this.#popularity.get(id) ?? NOTHING_KNOWN),
    }));
    return shortlist(model.network, state, known, atMost, this.#searches);
  }

  #searched(): NeighbourIndex {
    if (this.#neighbours) return this.#neighbours;
    const { imageMetric } = this.#network.manifest.architecture;
    this.#neighbours = new NeighbourIndex(imageMetric, { host: this.#searches });
    for (const id of this.#images.keys()) this.#neighbours.set(id, this.imageMetric(id)!);
    return this.#neighbours;
  }

  #take({ id, ownerId, collection, isReady, vector }: ChangedImage): void {
    this.delete(id);
    if (!isReady || this.#isErased(id)) return;
    if (!vector) {
      this.#waiting.add(id);
      return;
    }
    const item = toItemVector(vector);
    const metrics = metricsOf(this.#network, item).slice();
    this.#images.set(id, { id, ownerId, collection, metrics, expected: this.#prior.expected(fromHalfFloats(item)) });
    this.#newestFirst = null;
    this.#neighbours?.set(id, this.imageMetric(id)!);
  }
}

const imageRows = ({ row: { tower } }: ServingModel, condition: Prisma.Sql) => Prisma.sql`
  SELECT i.id, i.changed_in AS "changedIn", i.owner_id AS "ownerId", i.collection, i.status = 'READY' AS "isReady",
    v.vector
  FROM images i
  LEFT JOIN item_vectors v ON v.tenant_id = i.tenant_id AND v.tower = ${tower} AND v.image_id = i.id
  WHERE i.tenant_id = ${currentTenant()}::uuid AND ${condition}`;

/** Indexes: images_tenant_id_changed_in_id_idx, item_vectors_pkey. */
const imagePages = (database: Database, model: ServingModel) => (place: ChangePlace, isFirst: boolean) =>
  database.$queryRaw<ChangedImage[]>`
    ${imageRows(model, changesAfter(Prisma.sql`i.changed_in`, Prisma.sql`i.id`, place, isFirst))}
    ORDER BY i.changed_in, i.id LIMIT ${CHANGES_AT_ONCE}`;

/** Indexes: images_pkey, item_vectors_pkey. */
const readImages = (database: Database, model: ServingModel, ids: readonly string[]) =>
  database.$queryRaw<ChangedImage[]>(imageRows(model, Prisma.sql`i.id = ANY(${ids}::uuid[])`));

/** What everybody made of each image; one that nobody judged is left out. */
async function readAllPopularity(database: Database): Promise<Map<string, Popularity>> {
  const rows = await database.$queryRaw<(Popularity & { id: string })[]>`
    SELECT image_id AS id, sum(CASE sentiment WHEN 'LIKE' THEN weight ELSE -weight END) AS sum, sum(weight) AS count
    FROM feedback WHERE tenant_id = ${currentTenant()}::uuid AND sentiment <> 'SKIP' GROUP BY image_id`;
  return new Map(rows.map((row) => [row.id, row]));
}

export class ImageCatalogues extends TenantMemory<ImageCatalogue> {
  readonly #searches: SessionHost | undefined;

  /**
   * @param maxBytes memory for all catalogues together; the least recently used is dropped first.
   * @param searches whose thread runs first passes and searches; the caller's own, if left out
   */
  constructor(maxBytes: number, searches?: SessionHost) {
    super(maxBytes, ({ byteLength }) => byteLength);
    this.#searches = searches;
  }

  /** The tenant's images as they are now, other people's own among them, whoever asks. */
  holding(database: Database, model: ServingModel): Promise<ImageCatalogue> {
    const { network, row } = model;
    const isErased = (imageId: string) => this.isErased(imageId);
    const make = () => new ImageCatalogue(network, this.#searches, isErased);
    return this.filled(row.sha256, make, (catalogue) =>
      withTenant(currentTenant(), () => catalogue.follow(database, model)),
    );
  }

  /** Forgets images for good: none of them is taken in again. */
  forget(tenantId: string, imageIds: readonly string[]): void {
    this.dropFrom(tenantId, imageIds, (catalogue) => {
      for (const id of imageIds) catalogue.delete(id);
    });
  }

  /** The ids of the images that are in memory, and of their owners. */
  *heldIds(): Generator<string> {
    for (const catalogue of this.entries()) yield* catalogue.ids();
  }
}
