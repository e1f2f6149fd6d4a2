/**
 * One picture of the gallery: what it shows, how it is painted, the prompt a person would have typed for it, and its
 * pixels. The same attributes and seed give the same bytes.
 */
import { Random } from '../random.ts';
import { PALETTES, type PaletteName } from './colour.ts';
import { encodeJpeg } from './raster.ts';
import type { Detail, Frame } from './scene.ts';
import { SUBJECTS, type SubjectName } from './scenes/index.ts';
import { STYLES, type StyleName } from './styles/index.ts';

export type Composition = 'centred' | 'wide' | 'close' | 'offset';

/** What can be liked or disliked about a picture. */
export interface Attributes {
  readonly style: StyleName;
  readonly subject: SubjectName;
  readonly palette: PaletteName;
  readonly composition: Composition;
  readonly detail: Detail;
}

export interface Picture {
  /** Unique within a gallery; a file name without its ending. */
  readonly name: string;
  readonly prompt: string;
  readonly attributes: Attributes;
  readonly seed: string;
}

const FRAMES: Record<Composition, { frame: Frame; words: string }> = {
  centred: { frame: { focus: 0.5, horizon: 0.55, scale: 0.9 }, words: 'centred composition' },
  wide: { frame: { focus: 0.5, horizon: 0.7, scale: 0.45 }, words: 'wide shot, lots of space' },
  close: { frame: { focus: 0.5, horizon: 0.42, scale: 1.35 }, words: 'close-up' },
  offset: { frame: { focus: 0.3, horizon: 0.62, scale: 0.85 }, words: 'off-centre, rule of thirds' },
};

const DETAIL_WORDS: Record<Detail, string> = { sparse: 'minimalist', moderate: '', rich: 'highly detailed' };

/** A picture with a prompt worded by the seed: the style may come first or last, and not every attribute is named. */
export function describePicture(name: string, attributes: Attributes, seed: string): Picture {
  const random = new Random(`${seed}/words`);
  const subject = random.pick(SUBJECTS[attributes.subject].words);
  const style = random.pick(STYLES[attributes.style].words);
  const extras = [PALETTES[attributes.palette].words];
  if (random.uniform() < 0.6) extras.push(FRAMES[attributes.composition].words);
  if (DETAIL_WORDS[attributes.detail]) extras.push(DETAIL_WORDS[attributes.detail]);
  const opening = random.uniform() < 0.5 ? `${style} of ${subject}` : `${subject}, ${style}`;
  return { name, prompt: [opening, ...extras].join(', '), attributes, seed };
}

/** The picture's bytes: a JPEG of 512 × 512 pixels. Takes some 50 ms of one core. */
export async function renderPicture({ attributes, seed }: Picture): Promise<Buffer> {
  const palette = PALETTES[attributes.palette];
  const { focus, horizon, scale } = FRAMES[attributes.composition].frame;
  const random = new Random(seed);
  const mirrored = random.uniform() < 0.5;
  const frame = {
    focus: mirrored ? 1 - focus : focus,
    horizon: horizon + random.between(-0.04, 0.04),
    scale: scale * random.between(0.9, 1.1),
  };
  const scene = SUBJECTS[attributes.subject].draw({
    palette,
    frame,
    detail: attributes.detail,
    random: random.split('scene'),
  });
  return encodeJpeg(
    await STYLES[attributes.style].paint(scene, { palette, detail: attributes.detail, random: random.split('style') }),
  );
}
