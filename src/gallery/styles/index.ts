/** The styles a picture can be painted in, by name, with the words a prompt uses for each. To add one, write it in a file of its own and name it here. */
import type { Random } from '../../random.ts';
import type { Palette } from '../colour.ts';
import type { Raster } from '../raster.ts';
import type { Detail, Scene } from '../scene.ts';
import { cubist } from './cubist.ts';
import { flat } from './flat.ts';
import { halftone } from './halftone.ts';
import { ink } from './ink.ts';
import { lowPoly } from './lowPoly.ts';
import { neon } from './neon.ts';
import { oil } from './oil.ts';
import { paperCut } from './paperCut.ts';
import { photograph } from './photograph.ts';
import { pixelArt } from './pixelArt.ts';
import { pointillism } from './pointillism.ts';
import { stainedGlass } from './stainedGlass.ts';
import { watercolour } from './watercolour.ts';
import { woodcut } from './woodcut.ts';

interface Style {
  readonly words: readonly string[];
  readonly paint: (scene: Scene, brief: { palette: Palette; detail: Detail; random: Random }) => Promise<Raster>;
}

export const STYLES = {
  flat: { words: ['flat vector illustration', 'minimal vector art'], paint: flat },
  paperCut: { words: ['layered paper cut-out', 'paper craft diorama'], paint: paperCut },
  watercolour: { words: ['watercolour', 'loose watercolour on rough paper'], paint: watercolour },
  oil: { words: ['oil painting', 'impasto oil on canvas'], paint: oil },
  pointillism: { words: ['pointillist painting', 'painting in dots of pure colour'], paint: pointillism },
  ink: { words: ['ink drawing with cross-hatching', 'pen and ink sketch'], paint: ink },
  woodcut: { words: ['woodcut print', 'linocut with two inks'], paint: woodcut },
  halftone: { words: ['risograph print', 'halftone screen print'], paint: halftone },
  pixelArt: { words: ['pixel art', '16-bit pixel art'], paint: pixelArt },
  lowPoly: { words: ['low poly render', 'low poly 3D art'], paint: lowPoly },
  stainedGlass: { words: ['stained glass window', 'stained glass'], paint: stainedGlass },
  cubist: { words: ['cubist painting', 'fractured cubist composition'], paint: cubist },
  neon: { words: ['neon sign art', 'glowing neon outlines'], paint: neon },
  photograph: { words: ['cinematic photograph', '35mm photo, shallow depth of field'], paint: photograph },
} as const satisfies Record<string, Style>;

export type StyleName = keyof typeof STYLES;
