/**
 * A tenant's feedback as it stood at one moment, in a folder: what a training reads, however long it takes and however
 * often it begins again. Records of fixed size in files of their own, written in one stream and read where they are
 * needed: beside small files, which are held, memory grows with the number of people (9 bytes each) alone.
 *
 * people.bin    judgements, 32 bytes each, person after person, newest first
 * index.bin     9 bytes a person: likes (u32), dislikes (u32), part (u8)
 * items.bin     an image each: number of its prompt (u32), item vector (half floats)
 * features.bin  encoder embeddings (float32) of the images that were given with them, and their places
 * snapshot.json sizes and the SHA-256 of all that was written
 */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { PalateError } from '../../errors.ts';
import type { ItemVector } from '../../inference/preferenceModel.ts';
import { type ModelArtifact, towerHash } from '../../model/artifact.ts';
import { type Matrix, matrix } from '../fitting/linearAlgebra.ts';
import type { PeoplePart, PersonJudgement, PersonJudgements } from './people.ts';
import { WholeFile } from './wholeFile.ts';

const PARTS: readonly PeoplePart[] = ['train', 'validation', 'test'];
const JUDGEMENT_BYTES = 32;
const PERSON_BYTES = 9;
/** Of a person the newest so many are kept: as many as a score reads. */
export const MOST_JUDGEMENTS = 2_048;
const FILES = { people: 'people.bin', index: 'index.bin', items: 'items.bin', features: 'features.bin' } as const;
const MANIFEST = 'snapshot.json';

const count = z.int().min(0);
const manifestSchema = z.strictObject({
  format: z.literal('palate-snapshot-1'),
  /** Hash of the item tower that made the vectors. */
  tower: z.string(),
  people: count,
  judgements: count,
  items: count,
  /** Numbers in an item vector, and in an encoder's embedding. */
  itemSize: count,
  featureSize: count,
  features: count,
  /** Over people and items as they were given, ids included. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type SnapshotManifest = z.infer<typeof manifestSchema>;

export interface SnapshotSizes {
  readonly tower: string;
  readonly itemSize: number;
  readonly featureSize: number;
}

export interface SnapshotItem {
  /** Goes into the hash only. */
  readonly id: string;
  readonly vector: ItemVector;
  /** The same number for the same prompt; an image without one has a number of its own. */
  readonly prompt: number;
  /** The encoder's embedding, where baselines are to read it: images of people held out. */
  readonly features?: Float32Array;
}

export interface SnapshotPerson {
  /** Goes into the hash only. */
  readonly id: string;
  readonly part: PeoplePart;
  readonly judgements: PersonJudgements;
}

/** Writes a snapshot: all items, then all people, then `finish`. */
export class SnapshotWriter {
  readonly #directory: string;
  readonly #sizes: SnapshotSizes;
  readonly #files: Record<keyof typeof FILES, number>;
  readonly #hash: Hash = createHash('sha256');
  readonly #featurePlaces: number[] = [];
  #items = 0;
  #people = 0;
  #judgements = 0;

  private constructor(directory: string, sizes: SnapshotSizes) {
    this.#directory = directory;
    this.#sizes = sizes;
    const open = (name: keyof typeof FILES) => openSync(join(directory, FILES[name]), 'w');
    this.#files = { people: open('people'), index: open('index'), items: open('items'), features: open('features') };
  }

  /** Begins one in a folder, which is made; what lies there under the same names is written over. */
  static async create(directory: string, sizes: SnapshotSizes): Promise<SnapshotWriter> {
    await mkdir(directory, { recursive: true });
    return new SnapshotWriter(directory, sizes);
  }

  /** Returns the number that judgements name the image by: 0, 1, … */
  addItem({ id, vector, prompt, features }: SnapshotItem): number {
    const bytes = Buffer.alloc(4 + 2 * this.#sizes.itemSize);
    bytes.writeUInt32LE(prompt, 0);
    bytes.set(bytesOf(vector), 4);
    this.#write('items', bytes, id);
    if (features) {
      this.#write('features', Buffer.from(bytesOf(features)));
      this.#featurePlaces.push(this.#items);
    }
    return this.#items++;
  }

  /** Keeps the newest `MOST_JUDGEMENTS`. */
  addPerson({ id, part, judgements }: SnapshotPerson): void {
    const kept = judgements.slice(0, MOST_JUDGEMENTS);
    const rows = Buffer.alloc(kept.length * JUDGEMENT_BYTES);
    for (const [i, judgement] of kept.entries()) {
      if (judgement.image >= this.#items) {
        throw new PalateError('INVALID', `A judgement names image ${judgement.image}; ${this.#items} were given.`);
      }
      writeJudgement(rows, i * JUDGEMENT_BYTES, judgement);
    }
    this.#write('people', rows, id);
    const entry = Buffer.alloc(PERSON_BYTES);
    const likes = kept.filter(({ sentiment }) => sentiment === 'LIKE').length;
    entry.writeUInt32LE(likes, 0);
    entry.writeUInt32LE(kept.length - likes, 4);
    entry.writeUInt8(PARTS.indexOf(part), 8);
    this.#write('index', entry);
    this.#people++;
    this.#judgements += kept.length;
  }

  async finish(): Promise<Snapshot> {
    this.#write('features', Buffer.from(bytesOf(Uint32Array.from(this.#featurePlaces))));
    for (const file of Object.values(this.#files)) closeSync(file);
    const manifest: SnapshotManifest = {
      format: 'palate-snapshot-1',
      ...this.#sizes,
      people: this.#people,
      judgements: this.#judgements,
      items: this.#items,
      features: this.#featurePlaces.length,
      sha256: this.#hash.digest('hex'),
    };
    await writeFile(join(this.#directory, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
    return Snapshot.open(this.#directory);
  }

  #write(name: keyof typeof FILES, bytes: Buffer, id = ''): void {
    this.#hash.update(`${name} ${id} ${bytes.length} `).update(bytes);
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#files[name], bytes, at);
  }
}

/** One person of the index. */
export interface IndexedPerson {
  readonly part: PeoplePart;
  readonly likes: number;
  readonly dislikes: number;
}

/** A snapshot that is whole, open for reading anywhere. Reads are synchronous: it is for a process that trains. */
export class Snapshot {
  readonly manifest: SnapshotManifest;
  readonly people: readonly IndexedPerson[];
  readonly #starts: Float64Array;
  readonly #files: { readonly people: WholeFile; readonly items: WholeFile; readonly features: WholeFile };
  readonly #featurePlace: ReadonlyMap<number, number>;

  private constructor(directory: string, manifest: SnapshotManifest) {
    const open = (name: keyof typeof FILES, bytes: number) => new WholeFile(join(directory, FILES[name]), bytes);
    const { people, judgements, items, itemSize, features, featureSize } = manifest;
    this.manifest = manifest;
    this.#files = {
      people: open('people', judgements * JUDGEMENT_BYTES),
      items: open('items', items * (4 + 2 * itemSize)),
      features: open('features', features * 4 * (featureSize + 1)),
    };
    const index = open('index', people * PERSON_BYTES);
    const entries = index.read(0, people * PERSON_BYTES);
    index.close();
    this.#starts = new Float64Array(people + 1);
    this.people = Array.from({ length: people }, (_, i) => {
      const likes = entries.readUInt32LE(i * PERSON_BYTES);
      const dislikes = entries.readUInt32LE(i * PERSON_BYTES + 4);
      this.#starts[i + 1] = this.#starts[i]! + likes + dislikes;
      return { part: PARTS[entries.readUInt8(i * PERSON_BYTES + 8)]!, likes, dislikes };
    });
    const places = this.#files.features.read(features * 4 * featureSize, features * 4);
    this.#featurePlace = new Map(Array.from({ length: features }, (_, i) => [places.readUInt32LE(4 * i), i]));
  }

  /** Throws BAD_USER_INPUT, naming the file, where one is missing, cut off, or of another format. */
  static open(directory: string): Snapshot {
    try {
      const text = readFileSync(join(directory, MANIFEST), 'utf8');
      return new Snapshot(directory, manifestSchema.parse(JSON.parse(text)));
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new PalateError('BAD_USER_INPUT', `The snapshot in ${directory} cannot be read: ${why}`, { cause });
    }
  }

  /** Throws BAD_USER_INPUT where the item vectors are not those of this model's tower: they would be read as nonsense. */
  checkTower(model: ModelArtifact): void {
    const tower = towerHash(model);
    if (tower === this.manifest.tower) return;
    throw new PalateError(
      'BAD_USER_INPUT',
      `The snapshot's item vectors are of the tower ${this.manifest.tower}; the model ${model.manifest.name} reads those of ${tower}.`,
    );
  }

  /** Everything that a person judged, newest first. */
  judgementsOf(person: number): PersonJudgements {
    const [start, end] = [this.#starts[person]!, this.#starts[person + 1]!];
    const rows = this.#files.people.read(start * JUDGEMENT_BYTES, (end - start) * JUDGEMENT_BYTES);
    return Array.from({ length: end - start }, (_, i) => readJudgement(rows, i * JUDGEMENT_BYTES));
  }

  itemVector(image: number): ItemVector {
    const { itemSize } = this.manifest;
    const bytes = this.#files.items.read(image * (4 + 2 * itemSize) + 4, 2 * itemSize);
    return new Uint16Array(bytes.buffer, bytes.byteOffset, itemSize);
  }

  promptOf(image: number): number {
    return this.#files.items.read(image * (4 + 2 * this.manifest.itemSize), 4).readUInt32LE();
  }

  /** (images, encoder's numbers); null where one of them was given without. */
  featuresOf(images: readonly number[]): Matrix | null {
    const { featureSize } = this.manifest;
    const result = matrix(images.length, featureSize);
    for (const [i, image] of images.entries()) {
      const place = this.#featurePlace.get(image);
      if (place === undefined) return null;
      const bytes = this.#files.features.read(place * 4 * featureSize, 4 * featureSize);
      result.data.set(new Float32Array(bytes.buffer, bytes.byteOffset, featureSize), i * featureSize);
    }
    return result;
  }

  close(): void {
    for (const file of Object.values(this.#files)) file.close();
  }
}

function writeJudgement(rows: Buffer, at: number, judgement: PersonJudgement): void {
  const { image, sentiment, weight, judgedAt, popularity } = judgement;
  rows.writeUInt32LE(image, at);
  rows.writeUInt32LE(sentiment === 'LIKE' ? 1 : 0, at + 4);
  rows.writeFloatLE(weight, at + 8);
  rows.writeFloatLE(popularity.sum, at + 12);
  rows.writeFloatLE(popularity.count, at + 16);
  rows.writeDoubleLE(judgedAt, at + 24);
}

function readJudgement(rows: Buffer, at: number): PersonJudgement {
  return {
    image: rows.readUInt32LE(at),
    sentiment: rows.readUInt32LE(at + 4) === 1 ? 'LIKE' : 'DISLIKE',
    weight: rows.readFloatLE(at + 8),
    popularity: { sum: rows.readFloatLE(at + 12), count: rows.readFloatLE(at + 16) },
    judgedAt: rows.readDoubleLE(at + 24),
  };
}

const bytesOf = (numbers: Uint16Array | Float32Array | Uint32Array): Uint8Array =>
  new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
