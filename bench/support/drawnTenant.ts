/**
 * A tenant whose item vectors and judgements are drawn and written straight into the database: people and images as
 * ranking meets them, without a picture to draw or to encode. What ranks is the same; there is no picture to look at.
 */
import pg from 'pg';
import { newId, toGlobalId } from '../../src/domain/ids.ts';
import { toBytes } from '../../src/domain/itemVectors.ts';
import type { ItemVector, Judgement, PreferenceModel } from '../../src/inference/preferenceModel.ts';
import { Random } from '../../src/random.ts';

/** Item vectors that the model makes at once. */
const MADE_AT_ONCE = 500;
/** Between two judgements of a person: they are read newest first. */
const APART_MS = 1000;

export interface DrawnPerson {
  readonly id: string;
  readonly externalId: string;
  /** Newest first. */
  readonly judged: readonly { readonly image: number; readonly sentiment: 'LIKE' | 'DISLIKE' }[];
}

export interface DrawnTenant {
  readonly people: readonly DrawnPerson[];
  readonly images: readonly { readonly id: string; readonly item: ItemVector }[];
  /** Of the people, where they are not to be computed; drawn like no taste. */
  readonly profiles?: readonly Float32Array[];
}

export interface DrawnSizes {
  readonly people: number;
  readonly images: number;
  /** Images that each person has judged. */
  readonly judged: number;
}

/** Half of the images have a prompt, and half of the judgements are likes. */
export async function drawTenant(model: PreferenceModel, sizes: DrawnSizes): Promise<DrawnTenant> {
  const random = new Random('bench/drawnTenant');
  const { image, text } = model.manifest.inputTransforms;
  const normals = (length: number) => Float32Array.from({ length }, () => random.normal());
  const items: ItemVector[] = [];
  while (items.length < sizes.images) {
    const some = Math.min(MADE_AT_ONCE, sizes.images - items.length);
    const encoded = Array.from({ length: some }, (_, i) => ({
      image: normals(image.inputs),
      text: i % 2 ? normals(text.inputs) : null,
    }));
    items.push(...(await model.itemVectors(encoded)));
  }
  const images = items.map((item) => ({ id: newId(), item }));
  const people = Array.from({ length: sizes.people }, (_, i) => ({
    id: newId(),
    externalId: `person-${i}`,
    judged: random.choose([...images.keys()], sizes.judged).map((judged) => ({
      image: judged,
      sentiment: random.uniform() < 0.5 ? ('LIKE' as const) : ('DISLIKE' as const),
    })),
  }));
  return { people, images };
}

/** With a profile of each person, which nothing has to compute from their judgements. */
export function withProfiles({ layers, heads, tokens }: PreferenceModel, drawn: DrawnTenant): DrawnTenant {
  const random = new Random('bench/drawnTenant/profiles');
  const draw = (): Float32Array => {
    const vector = Float32Array.from({ length: layers * heads * tokens }, () => random.uniform());
    const length = Math.hypot(...vector);
    return vector.map((x) => x / length);
  };
  return { ...drawn, profiles: drawn.people.map(draw) };
}

/** The person's judgements as the model reads them. */
export const historyOf = ({ images }: DrawnTenant, { judged }: DrawnPerson): Judgement[] =>
  judged.map(({ image, sentiment }) => ({ item: images[image]!.item, sentiment, weight: 1 }));

/** The `place`th person's candidates: another stretch of the images for each, so that all of them are asked for. */
export function candidatesOf({ images }: DrawnTenant, place: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => (place * 37 + i) % images.length);
}

/** An image as the API calls it. */
export const imageId = ({ images }: DrawnTenant, place: number): string => toGlobalId('Image', images[place]!.id);

/** Writes the rows of a tenant that has none yet. @param ownerUrl of the database, as its superuser */
export function writeTenant(ownerUrl: string, tenantId: string, drawn: DrawnTenant): Promise<void> {
  return writeTenants(ownerUrl, new Map([[tenantId, drawn]]));
}

/** The same of many, by their ids. */
export async function writeTenants(ownerUrl: string, tenants: ReadonlyMap<string, DrawnTenant>): Promise<void> {
  const client = new pg.Client({ connectionString: ownerUrl });
  await client.connect();
  try {
    for (const [tenantId, drawn] of tenants) {
      await client.query('BEGIN');
      await writeImages(client, tenantId, drawn);
      await writePeople(client, tenantId, drawn);
      if (drawn.profiles) await writeProfiles(client, tenantId, drawn.people, drawn.profiles);
      await client.query('COMMIT');
    }
    await client.query('ANALYZE users, images, item_vectors, feedback, profiles');
  } finally {
    await client.end();
  }
}

async function writeImages(client: pg.Client, tenantId: string, { images }: DrawnTenant): Promise<void> {
  const ids = images.map(({ id }) => id);
  await client.query(
    `INSERT INTO images (tenant_id, id, sha256, format, byte_length, width, height, status)
     SELECT $1, id, encode(sha256(id::text::bytea), 'hex'), 'jpeg', 1, 1, 1, 'READY' FROM unnest($2::uuid[]) AS t (id)`,
    [tenantId, ids],
  );
  await client.query(
    `INSERT INTO item_vectors (tenant_id, tower, image_id, vector)
     SELECT $1, (SELECT tower FROM models WHERE tenant_id = $1 AND status = 'ACTIVE'), t.*
     FROM unnest($2::uuid[], $3::bytea[]) AS t (id, vector)`,
    [tenantId, ids, images.map(({ item }) => Buffer.from(toBytes(item)))],
  );
}

async function writePeople(client: pg.Client, tenantId: string, { people, images }: DrawnTenant): Promise<void> {
  await client.query(
    'INSERT INTO users (tenant_id, id, external_id) SELECT $1, t.* FROM unnest($2::uuid[], $3::text[]) AS t (id, external_id)',
    [tenantId, people.map(({ id }) => id), people.map(({ externalId }) => externalId)],
  );
  const now = Date.now();
  const judgements = people.flatMap(({ id, judged }) =>
    judged.map(({ image, sentiment }, i) => ({
      ...{ user: id, image: images[image]!.id, sentiment },
      at: new Date(now - i * APART_MS).toISOString(),
    })),
  );
  await client.query(
    `INSERT INTO feedback (tenant_id, id, user_id, image_id, sentiment, weight, judged_at)
     SELECT $1, id, person, image, sentiment, 1, at
     FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::sentiment[], $6::timestamptz[])
       AS t (id, person, image, sentiment, at)`,
    [
      ...[tenantId, judgements.map(newId), judgements.map(({ user }) => user), judgements.map(({ image }) => image)],
      ...[judgements.map(({ sentiment }) => sentiment), judgements.map(({ at }) => at)],
    ],
  );
}

async function writeProfiles(
  client: pg.Client,
  tenantId: string,
  people: readonly DrawnPerson[],
  profiles: readonly Float32Array[],
): Promise<void> {
  await client.query(
    `INSERT INTO profiles (tenant_id, model_id, user_id, vector, likes, dislikes, feedback_version, as_of)
     SELECT $1, (SELECT id FROM models WHERE tenant_id = $1 AND status = 'ACTIVE'), t.*, 1, 1, 0, now()
     FROM unnest($2::uuid[], $3::bytea[]) AS t (id, vector)`,
    [tenantId, people.map(({ id }) => id), profiles.map((profile) => Buffer.from(profile.buffer))],
  );
}
