/**
 * Ranks picture files by what a person liked and disliked: encoders, item vectors, one state, one pass of scores. No
 * server, no database.
 */

import type { ImageEncoder, TextEncoder } from '../../inference/encoding/index.ts';
import type { PreferenceModel } from '../../inference/preferenceModel.ts';
import type { ItemVector, Judgement } from '../../inference/userState.ts';
import { type FileFault, type PictureFile, readPicture, reason } from './pictureFiles.ts';

export interface Networks {
  readonly model: PreferenceModel;
  readonly imageEncoder: ImageEncoder;
  /** Opened only when a picture has a prompt: it takes a second or two. */
  readonly textEncoder: () => Promise<TextEncoder>;
}

export interface EncodedFile {
  readonly file: string;
  readonly prompt: string | null;
  readonly item: ItemVector;
}

export interface JudgedFile extends EncodedFile {
  readonly sentiment: 'LIKE' | 'DISLIKE';
}

export interface Influence {
  readonly file: string;
  readonly sentiment: 'LIKE' | 'DISLIKE';
  /** What the margin l⁺ − l⁻ gains by this judgement: its value less its value with the judgement left out. */
  readonly effect: number;
}

export interface RankedFile {
  readonly rank: number;
  readonly file: string;
  readonly prompt: string | null;
  /** P(like), 0 to 1. */
  readonly value: number;
  readonly standardError: number;
  readonly logits: { readonly like: number; readonly dislike: number };
  /** Greatest effect first; only where they were asked for. */
  readonly influences?: Influence[];
}

/** Files read and encoded together: what one run of the image encoder takes. */
const BATCH = 8;
/** Judgements that are each left out once for an explanation, the newest: each costs another pass. */
const MAX_LEFT_OUT = 128;

/** Item vectors of files, in their order; files that are no pictures are `faults`. `advance` is told of each file. */
export async function encodeFiles(
  { model, imageEncoder, textEncoder }: Networks,
  files: readonly string[],
  advance: (files: number) => void,
): Promise<{ encoded: EncodedFile[]; faults: FileFault[] }> {
  const encoded: EncodedFile[] = [];
  const faults: FileFault[] = [];
  for (let start = 0; start < files.length; start += BATCH) {
    const batch = files.slice(start, start + BATCH);
    const pictures: PictureFile[] = [];
    for (const [index, result] of (await Promise.allSettled(batch.map(readPicture))).entries()) {
      if (result.status === 'fulfilled') pictures.push(result.value);
      else faults.push({ file: batch[index]!, message: reason(result.reason) });
    }
    const images = await imageEncoder.encode(pictures.map(({ bytes }) => bytes));
    const prompted = pictures.filter(({ prompt }) => prompt !== null);
    const texts = prompted.length > 0 ? await (await textEncoder()).encode(prompted.map(({ prompt }) => prompt!)) : [];
    const textOf = new Map(prompted.map((picture, index) => [picture, texts[index]!]));
    const items = await model.itemVectors(
      pictures.map((picture, index) => ({ image: images[index]!, text: textOf.get(picture) ?? null })),
    );
    encoded.push(...pictures.map(({ file, prompt }, index) => ({ file, prompt, item: items[index]! })));
    advance(batch.length);
  }
  return { encoded, faults };
}

/** The candidates, best first, equal ones in the order given. `history` is newest first. */
export async function rankFiles(
  model: PreferenceModel,
  history: readonly JudgedFile[],
  candidates: readonly EncodedFile[],
  explain: boolean,
): Promise<RankedFile[]> {
  const judgements = history.map(({ item, sentiment }): Judgement => ({ item, sentiment, weight: 1 }));
  const leftOut = explain ? judgements.slice(0, MAX_LEFT_OUT).map((_, index) => judgements.toSpliced(index, 1)) : [];
  const states = await model.userStates([judgements, ...leftOut]);
  const targets = candidates.map(({ item }) => item);
  const [scores, ...without] = await model.score(states.map((state) => ({ state, targets })));
  const ranked = candidates.map(({ file, prompt }, index) => {
    const { like, dislike, value, standardError } = scores![index]!;
    const margin = like - dislike;
    const influences = without.map((others, out) => ({
      file: history[out]!.file,
      sentiment: history[out]!.sentiment,
      effect: margin - (others[index]!.like - others[index]!.dislike),
    }));
    influences.sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect));
    return {
      margin,
      file,
      prompt,
      value,
      standardError,
      logits: { like, dislike },
      ...(explain ? { influences } : {}),
    };
  });
  ranked.sort((a, b) => b.margin - a.margin);
  return ranked.map(({ margin: _, ...entry }, index) => ({ rank: index + 1, ...entry }));
}
