/** The demo's collection: any number of pictures in which every style meets every subject and palette about equally often. */
import { Random } from '../random.ts';
import { PALETTES, type PaletteName } from './colour.ts';
import { type Composition, describePicture, type Picture } from './picture.ts';
import type { Detail } from './scene.ts';
import { SUBJECTS, type SubjectName } from './scenes/index.ts';
import { STYLES, type StyleName } from './styles/index.ts';

const COMPOSITIONS: readonly Composition[] = ['centred', 'wide', 'close', 'offset'];
const DETAILS: readonly Detail[] = ['sparse', 'moderate', 'rich'];

/** How many pictures the demo shows. */
export const DEMO_PICTURES = 240;

/** `count` pictures, all different, in an order that mixes them. The same seed gives the same gallery. */
export function gallery(count: number, seed = 1): Picture[] {
  const random = new Random(`gallery/${seed}`);
  const styles = dealt(Object.keys(STYLES) as StyleName[], count, random);
  const subjects = dealt(Object.keys(SUBJECTS) as SubjectName[], count, random);
  const palettes = dealt(Object.keys(PALETTES) as PaletteName[], count, random);
  const compositions = dealt(COMPOSITIONS, count, random);
  const details = dealt(DETAILS, count, random);
  return Array.from({ length: count }, (_, index) => {
    const attributes = {
      style: styles[index]!,
      subject: subjects[index]!,
      palette: palettes[index]!,
      composition: compositions[index]!,
      detail: details[index]!,
    };
    const number = String(index + 1).padStart(3, '0');
    return describePicture(
      `${number}-${attributes.subject}-${attributes.style}`,
      attributes,
      `gallery/${seed}/${index}`,
    );
  });
}

/** `count` items from rounds of all of them, each round shuffled: as even as a deal of cards. */
function dealt<T>(items: readonly T[], count: number, random: Random): T[] {
  const hand: T[] = [];
  while (hand.length < count) hand.push(...random.shuffle(items));
  return hand.slice(0, count);
}
