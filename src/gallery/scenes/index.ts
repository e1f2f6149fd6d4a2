/** The subjects a picture can have, by name, with the words a prompt uses for each. To add one, write its scene and name it here. */
import type { Brief, Scene } from '../scene.ts';
import { geometry, waves } from './abstracts.ts';
import { bird, cat, reef } from './creatures.ts';
import { dunes, forest, mountains, sea } from './landscapes.ts';
import { balloons, city, lighthouse, planet, village } from './places.ts';
import { portrait } from './portrait.ts';
import { bouquet, flowerField, fruit } from './things.ts';

interface Subject {
  readonly words: readonly string[];
  readonly theme: 'nature' | 'places' | 'still life' | 'creatures' | 'abstract';
  readonly draw: (brief: Brief) => Scene;
}

export const SUBJECTS = {
  mountains: {
    words: ['mountains above a still lake', 'an alpine lake at the foot of high peaks'],
    theme: 'nature',
    draw: mountains,
  },
  dunes: { words: ['sand dunes with a caravan', 'a desert of rolling dunes'], theme: 'nature', draw: dunes },
  forest: { words: ['a pine forest in the mist', 'tall firs on a hillside'], theme: 'nature', draw: forest },
  sea: { words: ['a sailing boat on the open sea', 'a lone sailboat among waves'], theme: 'nature', draw: sea },
  city: { words: ['a city skyline', 'skyscrapers with lit windows'], theme: 'places', draw: city },
  lighthouse: {
    words: ['a lighthouse on a cliff', 'a striped lighthouse above the sea'],
    theme: 'places',
    draw: lighthouse,
  },
  village: {
    words: ['a village of gabled houses on a hill', 'cottages among fir trees'],
    theme: 'places',
    draw: village,
  },
  balloons: {
    words: ['hot-air balloons over rolling hills', 'a striped hot-air balloon in the sky'],
    theme: 'places',
    draw: balloons,
  },
  planet: {
    words: ['a ringed planet among stars', 'a giant planet with rings and moons'],
    theme: 'places',
    draw: planet,
  },
  bouquet: {
    words: ['a vase of flowers on a table', 'a bouquet in a ceramic vase'],
    theme: 'still life',
    draw: bouquet,
  },
  fruit: {
    words: ['a bowl of fruit on a table', 'still life with apples and oranges'],
    theme: 'still life',
    draw: fruit,
  },
  flowers: {
    words: ['a field of large flowers', 'daisies and sunflowers in a meadow'],
    theme: 'nature',
    draw: flowerField,
  },
  portrait: {
    words: ['a portrait of a woman', 'head and shoulders of a person with earrings'],
    theme: 'creatures',
    draw: portrait,
  },
  cat: { words: ['a cat sitting in a window', 'a cat on a windowsill at dusk'], theme: 'creatures', draw: cat },
  bird: { words: ['a songbird on a flowering branch', 'a bird among cherry blossoms'], theme: 'creatures', draw: bird },
  reef: { words: ['tropical fish over a reef', 'a bright fish among water weed'], theme: 'creatures', draw: reef },
  geometry: {
    words: ['overlapping circles, bars and triangles', 'an arrangement of geometric forms'],
    theme: 'abstract',
    draw: geometry,
  },
  waves: { words: ['flowing bands of colour', 'stacked waves under a round sun'], theme: 'abstract', draw: waves },
} as const satisfies Record<string, Subject>;

export type SubjectName = keyof typeof SUBJECTS;
export type Theme = Subject['theme'];
