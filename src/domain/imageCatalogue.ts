/**
 * The READY images of the tenants used lately, kept in memory and brought up to date by what changed: who may see each,
 * its collection, and what the first pass of recommendations reads of it. Whoever asks sees what was written before, by
 * any replica; what others made of images is a minute old at most, since the best are scored anew.
 */
import { currentTenant, type Database, Prisma, withTenant } from '../database/client.ts';
import { fromHalfFloats } from '../halfFloats.ts';
import { metricsOf, PopulationPrior, shortlist } from '../inference/firstPass.ts';
import type { Popularity, UserState } from '../inference/preferenceModel.ts';
import type { SessionHost } from '../inference/sessionHost.ts';
import { CHANGES_AT_ONCE, type ChangePlace, ChangeReader, changesAfter, SharedTurns } from './changes.ts';
import { toItemVector } from './itemVectors.ts';
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
  isJudged(imageId: string): boolean;
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

class ImageCatalogue {
  readonly #images = new Map<string, CatalogueImage>();
  readonly #reader = new ChangeReader();
  readonly #turns = new SharedTurns();
  /** READY and without a vector in this tower when they were last looked at. */
  readonly #waiting = new Set<string>();
  readonly #prior: PopulationPrior;
  readonly #searches: SessionHost | undefined;
  readonly #isErased: (imageId: string) => boolean;
  #popularity = new Map<string, Popularity>();
  #popularityReadAt = Number.NEGATIVE_INFINITY;

  constructor(prior: PopulationPrior, searches: SessionHost | undefined, isErased: (imageId: string) => boolean) {
    this.#prior = prior;
    this.#searches = searches;
    this.#isErased = isErased;
  }

  get byteLength(): number {
    const [image] = this.#images.values();
    return 1_024 + this.#images.size * (BYTES_OF_ROW + (image?.metrics.byteLength ?? 0));
  }

  *ids(): Generator<string> {
    for (const { id, ownerId } of this.#images.values()) {
      yield id;
      if (ownerId) yield ownerId;
    }
  }

  delete(imageId: string): void {
    this.#images.delete(imageId);
    this.#waiting.delete(imageId);
  }

  follow(database: Database, model: ServingModel): Promise<void> {
    return this.#turns.take(async () => {
      const waiting = [...this.#waiting];
      if (waiting.length > 0) for (const row of await readImages(database, model, waiting)) this.#take(model, row);
      for await (const rows of this.#reader.read(database, imagePages(database, model))) {
        for (const row of rows) this.#take(model, row);
      }
      if (!model.network.readsPopularity || performance.now() < this.#popularityReadAt + POPULARITY_KEPT_MS) return;
      this.#popularity = await readAllPopularity(database);
      this.#popularityReadAt = performance.now();
    });
  }

  /**
   * The images of a choice that the person may like best, in no order: all where they are few, else so many by the
   * first pass, the newest of those that it does not tell apart.
   */
  async shortlist(model: ServingModel, state: UserState, choice: ImageChoice, atMost: number): Promise<string[]> {
    const images = [...this.#images.values()].filter(
      ({ id, ownerId, collection }) =>
        (ownerId === null || ownerId === choice.userId) &&
        (choice.collection === null || collection === choice.collection) &&
        !choice.isJudged(id),
    );
    if (images.length <= atMost) return images.map(({ id }) => id);
    const known = images.map(({ id, metrics, expected }) => ({
      id,
      metrics,
      prior: this.#prior.margin(expected, this.#popularity.get(id) ?? NOTHING_KNOWN),
    }));
    return shortlist(model.network, state, known, atMost, this.#searches);
  }

  #take({ network }: ServingModel, { id, ownerId, collection, isReady, vector }: ChangedImage): void {
    this.delete(id);
    if (!isReady || this.#isErased(id)) return;
    if (!vector) {
      this.#waiting.add(id);
      return;
    }
    const item = toItemVector(vector);
    const metrics = metricsOf(network, item).slice();
    this.#images.set(id, { id, ownerId, collection, metrics, expected: this.#prior.expected(fromHalfFloats(item)) });
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
   * @param searches whose thread runs first passes; the caller's own, if left out
   */
  constructor(maxBytes: number, searches?: SessionHost) {
    super(maxBytes, ({ byteLength }) => byteLength);
    this.#searches = searches;
  }

  /** The tenant's images as they are now, other people's own among them, whoever asks. */
  holding(database: Database, model: ServingModel): Promise<ImageCatalogue> {
    const { network, row } = model;
    const isErased = (imageId: string) => this.isErased(imageId);
    const make = () => new ImageCatalogue(new PopulationPrior(network), this.#searches, isErased);
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
