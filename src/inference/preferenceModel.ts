/**
 * A preference model ready to serve: item vectors once an image, a state once a history, scores in batches. It runs the
 * three graphs of model/graphs.ts and fills their inputs; knows no database and no tenant.
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PalateError } from '../errors.ts';
import { fromHalfFloats, toHalfFloats, withinHalfFloats } from '../halfFloats.ts';
import { itemVectorSize } from '../model/architecture.ts';
import { decodeModel, type ModelArtifact, parseManifest, towerHash } from '../model/artifact.ts';
import { unpackModel } from '../model/artifactFile.ts';
import { itemGraph, scoreGraph, stateGraph } from '../model/graphs.ts';
import { parameterLayout } from '../model/parameters.ts';
import { calibrated } from './calibration.ts';
import { halves, runsOf, type ScoreRequest, shapeOf } from './scoreRuns.ts';
import { type ExecutionProvider, openSession, type Session, type Tensor, type Tensors } from './session.ts';
import type { SessionHost } from './sessionHost.ts';
import { type ItemVector, type Judgement, StateInputs, type UserState } from './userState.ts';

export type { Popularity, ScoreRequest } from './scoreRuns.ts';
export type { ItemVector, Judgement, UserState } from './userState.ts';

/** The folder of the base model that ships; the same path from src and from dist. */
export const SHIPPED_MODEL = fileURLToPath(new URL('../../models/base', import.meta.url));

/** Encoder embeddings of one image, and of its prompt where it has one. */
export interface EncodedItem {
  image: Float32Array;
  text: Float32Array | null;
}

/** A score without where the model's attention lay. */
export interface TargetMargin {
  /** Logits l⁺ and l⁻; their difference is the margin that ranks. */
  like: number;
  dislike: number;
  /** P(like), 0 to 1, calibrated. */
  value: number;
  /** Of value. */
  standardError: number;
}

export interface TargetScore extends TargetMargin {
  /** layers × heads × tokens; each head's sum is 1. */
  tokenAttention: Float32Array;
  /** Of the judgements that the blocks read (`UserState.blockJudgements`), averaged over layers and heads. */
  historyAttention: Float32Array;
}

export interface ScoreOptions {
  attention?: boolean;
}

/** Reads a model's folder, or the one file of a model. Throws BAD_USER_INPUT, naming it and what is wrong in it. */
export async function loadArtifact(directory: string): Promise<ModelArtifact> {
  try {
    if ((await stat(directory)).isFile()) return unpackModel(await readFile(directory));
    const manifest = parseManifest(await readFile(join(directory, 'manifest.json'), 'utf8'));
    return decodeModel(manifest, await readFile(join(directory, manifest.weights.file)));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new PalateError('BAD_USER_INPUT', `The model in ${directory} cannot be read: ${why}`, { cause });
  }
}

/** Histories of one run of the state graph at most. */
const MAX_HISTORIES = 256;

const float = (data: Float32Array, ...dims: number[]): Tensor => ({ dtype: 'float32', dims, data });
const half = (data: Uint16Array, ...dims: number[]): Tensor => ({ dtype: 'float16', dims, data });

/** Feeds are made for one run: their memory goes with them. */
const runGiven = (session: Session, outputs: readonly string[], feeds: Tensors): Promise<Tensors> =>
  session.run(feeds, outputs, { give: true });

export class PreferenceModel {
  #closed = false;
  readonly #artifact: ModelArtifact;
  readonly #sessions: { items: Session; state: Session; score: Session };
  /** Of the weights file. */
  readonly sha256: string;
  /** Names what makes item vectors: models that share it share them. */
  readonly towerHash: string;

  private constructor(artifact: ModelArtifact, sessions: { items: Session; state: Session; score: Session }) {
    this.#artifact = artifact;
    this.#sessions = sessions;
    this.sha256 = artifact.manifest.weights.sha256;
    this.towerHash = towerHash(artifact);
  }

  /** Reads manifest.json and the weights beside it. Throws BAD_USER_INPUT, naming the file, where they do not fit. */
  static async load(directory: string, host?: SessionHost): Promise<PreferenceModel> {
    return PreferenceModel.open(await loadArtifact(directory), host);
  }

  /**
   * A model that is in memory already.
   * @param host runs it in its thread; the caller's own runs it, if left out
   */
  static async open(artifact: ModelArtifact, host?: SessionHost): Promise<PreferenceModel> {
    const { manifest, parameters, transforms } = artifact;
    const open = (graph: () => Uint8Array) => (host ? host.open(graph) : openSession(graph));
    const [items, state, score] = await Promise.all([
      open(() => itemGraph(manifest.architecture, parameters, transforms)),
      open(() => stateGraph(manifest.architecture, parameters)),
      open(() => scoreGraph(manifest.architecture, parameters)),
    ]);
    return new PreferenceModel(artifact, { items, state, score });
  }

  /** The numbers that it runs on. */
  get artifact(): ModelArtifact {
    return this.#artifact;
  }
  get manifest() {
    return this.#artifact.manifest;
  }
  get imageEncoder(): string {
    return this.manifest.encoders.image;
  }
  get textEncoder(): string {
    return this.manifest.encoders.text;
  }
  get executionProvider(): ExecutionProvider {
    return this.#sessions.score.executionProvider;
  }
  get layers(): number {
    return this.manifest.architecture.layers;
  }
  get heads(): number {
    return this.manifest.architecture.heads;
  }
  get tokens(): number {
    return this.manifest.architecture.tokens;
  }
  /** Whether what others made of an image moves its score: not in the base model. */
  get readsPopularity(): boolean {
    const { architecture } = this.manifest;
    const gain = this.#artifact.parameters[parameterLayout(architecture).range('prior.gain').start];
    return architecture.parts.prior && gain !== 0;
  }

  /**
   * What is stored of each image, in their order: 256 half floats. Embeddings are read as they are kept: a number
   * beyond ±65,504 counts as that. Throws INTERNAL_SERVER_ERROR for one that holds NaN, or is of another length.
   */
  async itemVectors(items: readonly EncodedItem[]): Promise<ItemVector[]> {
    if (items.length === 0) return [];
    const { image: imageTransform, text: textTransform } = this.#artifact.transforms;
    const images = rows(
      items.map(({ image }) => image),
      imageTransform.mean.length,
      'image embedding',
    );
    const noText = new Float32Array(textTransform.mean.length);
    const texts = rows(
      items.map(({ text }) => text ?? noText),
      textTransform.mean.length,
      'prompt embedding',
    );
    const hasText = Float32Array.from(items, ({ text }) => (text ? 1 : 0));
    const { items: vectors } = await runGiven(this.#sessions.items, ['items'], {
      image: float(images, items.length, imageTransform.mean.length),
      text: float(texts, items.length, textTransform.mean.length),
      hasText: float(hasText, items.length, 1),
    });
    const size = itemVectorSize(this.manifest.architecture);
    const all = toHalfFloats(vectors!.data as Float32Array);
    return items.map((_, i) => all.slice(i * size, (i + 1) * size));
  }

  /** The state of each history (newest judgement first), in their order. */
  async userStates(histories: readonly (readonly Judgement[])[]): Promise<UserState[]> {
    const states: UserState[] = [];
    for (let start = 0; start < histories.length; start += MAX_HISTORIES) {
      const inputs = histories
        .slice(start, start + MAX_HISTORIES)
        .map((history) => new StateInputs(this.manifest.architecture, history));
      states.push(...(await this.#runStates(inputs)));
    }
    return states;
  }

  async #runStates(inputs: readonly StateInputs[]): Promise<UserState[]> {
    const { width, heads, history, layers, tokens, imageMetric } = this.manifest.architecture;
    const users = inputs.length;
    const size = itemVectorSize(this.manifest.architecture);
    const results = await runGiven(this.#sessions.state, ['keysValues', 'profile', 'direction', 'probe'], {
      items: half(join16(inputs.map((i) => i.items)), users, history, size),
      judged: float(join32(inputs.map((i) => i.judged)), users, history, 2),
      imageSums: float(join32(inputs.map((i) => i.imageSums)), users, 2, imageMetric),
      imageTotals: float(join32(inputs.map((i) => i.imageTotals)), users, 2, 1),
    });
    const keysValues = results['keysValues']!.data as Float32Array;
    const profiles = results['profile']!.data as Float32Array;
    const directions = results['direction']!.data as Float32Array;
    const probes = results['probe']!.data as Float32Array;
    const stateSize = layers * 2 * heads * history * (width / heads);
    const profileSize = layers * heads * tokens;
    return inputs.map((input, i) =>
      input.finish({
        keysValues: keysValues.slice(i * stateSize, (i + 1) * stateSize),
        direction: directions.slice(i * imageMetric, (i + 1) * imageMetric),
        profile: profiles.slice(i * profileSize, (i + 1) * profileSize),
        probe: probes.slice(i * width, (i + 1) * width),
      }),
    );
  }

  /**
   * Scores every target of every request, in their order: one run of the model for all that fits into one.
   * @param options.attention whether to give it too: most of what the engine gives, and of use to explanations alone
   */
  score(requests: readonly ScoreRequest[], options?: { attention?: true }): Promise<TargetScore[][]>;
  score(requests: readonly ScoreRequest[], options: ScoreOptions): Promise<TargetMargin[][]>;
  async score(
    requests: readonly ScoreRequest[],
    { attention = true }: ScoreOptions = {},
  ): Promise<(TargetScore | TargetMargin)[][]> {
    const results: (TargetScore | TargetMargin)[][] = requests.map(() => []);
    for (const run of runsOf(requests)) {
      const scored = await this.#runScores(
        run.map((i) => requests[i]!),
        attention,
      );
      for (const [k, i] of run.entries()) results[i] = scored[k]!;
    }
    return results;
  }

  async #runScores(requests: readonly ScoreRequest[], attention: boolean): Promise<(TargetScore | TargetMargin)[][]> {
    if (requests.length === 1) return [(await this.#runScores(halves(requests[0]!), attention)).flat()];
    const a = this.manifest.architecture;
    const { users, targets, judgements } = shapeOf(requests);
    const size = itemVectorSize(a);
    const metrics = a.imageMetric + a.textMetric;
    const states = requests.map(({ state }) => state);
    const items = new Uint16Array(users * targets * size);
    const popularity = new Float32Array(users * targets * 2);
    const recent = new Uint16Array(users * judgements * metrics);
    const recentJudged = new Float32Array(users * judgements * 2);
    for (const [u, request] of requests.entries()) {
      for (const [t, target] of request.targets.entries()) items.set(target, (u * targets + t) * size);
      for (const [t, { sum, count }] of (request.popularity ?? []).entries()) {
        popularity.set([sum, count], (u * targets + t) * 2);
      }
      recent.set(request.state.recent, u * judgements * metrics);
      recentJudged.set(request.state.recentJudged, u * judgements * 2);
    }
    const outputs = attention ? ['logits', 'tokenAttention', 'historyAttention'] : ['logits'];
    const results = await runGiven(this.#sessions.score, outputs, {
      keysValues: float(
        join32(states.map((s) => s.keysValues)),
        users,
        a.layers,
        2,
        a.heads,
        a.history,
        a.width / a.heads,
      ),
      direction: float(join32(states.map((s) => s.direction)), users, 1, a.imageMetric),
      judged: float(join32(states.map((s) => s.judged)), users, a.history, 2),
      recent: half(recent, users, judgements, metrics),
      recentJudged: float(recentJudged, users, judgements, 2),
      imageSums: float(join32(states.map((s) => s.imageSums)), users, 2, a.imageMetric),
      imageTotals: float(join32(states.map((s) => s.imageTotals)), users, 2, 1),
      textSums: float(join32(states.map((s) => s.textSums)), users, 2, a.textMetric),
      textTotals: float(join32(states.map((s) => s.textTotals)), users, 2, 1),
      items: half(items, users, targets, size),
      popularity: float(popularity, users, targets, 2),
    });
    const logits = results['logits']!.data as Float32Array;
    const tokenAttention = results['tokenAttention']?.data as Float32Array | undefined;
    const historyAttention = results['historyAttention']?.data as Float32Array | undefined;
    const tokenSize = a.layers * a.heads * a.tokens;
    return requests.map(({ state, targets: own }, u) =>
      own.map((_, t) => {
        const row = u * targets + t;
        const [like, dislike] = [logits[2 * row]!, logits[2 * row + 1]!];
        const margin = { like, dislike, ...calibrated(this.manifest.calibration, like - dislike, state) };
        if (!tokenAttention || !historyAttention) return margin;
        return {
          ...margin,
          tokenAttention: tokenAttention.slice(row * tokenSize, (row + 1) * tokenSize),
          historyAttention: historyAttention.slice(row * a.history, row * a.history + state.blockJudgements.length),
        };
      }),
    );
  }

  /** The image metric of an item vector: unit length, 96 numbers. */
  imageMetric(item: ItemVector): Float32Array {
    const { width, imageMetric } = this.manifest.architecture;
    return fromHalfFloats(item.subarray(width, width + imageMetric));
  }

  /** Throws NOT_READY once it is closed. */
  checkOpen(): void {
    if (this.#closed) throw new PalateError('NOT_READY', 'The preference model is closed.');
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(Object.values(this.#sessions).map((session) => session.close()));
  }
}

function rows(vectors: readonly Float32Array[], width: number, what: string): Float32Array {
  const wrong = vectors.find((vector) => vector.length !== width);
  if (wrong) {
    throw new PalateError(
      'INTERNAL_SERVER_ERROR',
      `An ${what} has ${wrong.length} numbers; this model reads ${width}.`,
    );
  }
  if (vectors.some((vector) => vector.some(Number.isNaN))) {
    throw new PalateError('INTERNAL_SERVER_ERROR', `An ${what} holds NaN: nothing can be known of it.`);
  }
  return withinHalfFloats(join32(vectors));
}

/** One array after the other. */
function concatenate<Numbers extends Float32Array | Uint16Array>(
  empty: (length: number) => Numbers,
  parts: readonly Numbers[],
) {
  const all = empty(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}

const join32 = (parts: readonly Float32Array[]) => concatenate((length) => new Float32Array(length), parts);
const join16 = (parts: readonly Uint16Array[]) => concatenate((length) => new Uint16Array(length), parts);
