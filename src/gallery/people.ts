/**
 * Simulated people: each belongs to a group of taste, has likings of their own beside it, and judges with some noise.
 * They see a picture's attributes, never its pixels or an embedding. The demo's feedback comes from them.
 */
import { Random } from '../random.ts';
import type { PaletteName } from './colour.ts';
import type { Attributes, Picture } from './picture.ts';
import type { Detail } from './scene.ts';
import { SUBJECTS, type SubjectName, type Theme } from './scenes/index.ts';
import { STYLES, type StyleName } from './styles/index.ts';

/** What a person makes of attributes, −1 (dislikes) to 1 (likes); what is not named leaves them cold. */
interface Taste {
  readonly styles: Partial<Record<StyleName, number>>;
  readonly palettes: Partial<Record<PaletteName, number>>;
  readonly themes: Partial<Record<Theme, number>>;
  readonly details: Partial<Record<Detail, number>>;
}

export type GroupName = keyof typeof GROUPS;

export interface Person {
  /** Such as `ada-graphic`: unique among `people`. */
  readonly externalId: string;
  readonly displayName: string;
  readonly group: GroupName;
  readonly taste: Taste;
  /** Styles and subjects this person likes or dislikes whatever the group says. */
  readonly own: {
    readonly styles: Partial<Record<StyleName, number>>;
    readonly subjects: Partial<Record<SubjectName, number>>;
  };
  readonly seed: string;
}

export interface SimulatedJudgement {
  readonly picture: Picture;
  readonly sentiment: 'LIKE' | 'DISLIKE' | 'SKIP';
}

/** Groups of taste. The first two are near to opposite; the others share some likings with their neighbours. */
const GROUPS = {
  graphic: {
    styles: {
      flat: 1,
      paperCut: 0.8,
      halftone: 0.7,
      lowPoly: 0.6,
      oil: -1,
      watercolour: -0.8,
      ink: -0.5,
      pointillism: -0.7,
    },
    palettes: { candy: 0.6, pastel: 0.4, earth: -0.5 },
    themes: { abstract: 0.5, 'still life': -0.3 },
    details: { sparse: 0.4, rich: -0.4 },
  },
  painterly: {
    styles: {
      oil: 1,
      watercolour: 0.8,
      pointillism: 0.8,
      ink: 0.4,
      flat: -0.9,
      pixelArt: -0.8,
      neon: -0.7,
      lowPoly: -0.6,
      halftone: -0.6,
    },
    palettes: { earth: 0.5, autumn: 0.5, candy: -0.5, neon: -0.5 },
    themes: { nature: 0.4, 'still life': 0.4, abstract: -0.4 },
    details: { rich: 0.3, sparse: -0.3 },
  },
  nocturnal: {
    styles: { neon: 1, pixelArt: 0.8, stainedGlass: 0.5, cubist: 0.3, ink: -0.8, watercolour: -0.6, woodcut: -0.5 },
    palettes: { neon: 0.9, amber: 0.7, tealOrange: 0.5, pastel: -0.7, monochrome: -0.5 },
    themes: { places: 0.4 },
    details: { rich: 0.2 },
  },
  paper: {
    styles: {
      ink: 1,
      woodcut: 0.9,
      watercolour: 0.4,
      halftone: 0.3,
      neon: -0.9,
      photograph: -0.7,
      pixelArt: -0.5,
      lowPoly: -0.4,
    },
    palettes: { monochrome: 0.6, earth: 0.5, crimson: 0.3, candy: -0.8, neon: -0.8 },
    themes: { creatures: 0.4, nature: 0.2 },
    details: { moderate: 0.2 },
  },
  realist: {
    styles: {
      photograph: 1,
      lowPoly: 0.5,
      paperCut: 0.4,
      oil: 0.3,
      cubist: -0.9,
      stainedGlass: -0.8,
      woodcut: -0.5,
      pointillism: -0.4,
    },
    palettes: { glacier: 0.5, forest: 0.5, tealOrange: 0.4, crimson: -0.5 },
    themes: { nature: 0.5, places: 0.4, abstract: -0.9 },
    details: { moderate: 0.2 },
  },
} as const satisfies Record<string, Taste>;

const NAMES = [
  'Ada',
  'Bela',
  'Chidi',
  'Dana',
  'Emre',
  'Farah',
  'Goran',
  'Hana',
  'Iris',
  'Jonas',
  'Kavya',
  'Leo',
  'Mina',
  'Noor',
  'Omar',
  'Pia',
  'Quentin',
  'Rosa',
  'Sami',
  'Tove',
  'Uma',
  'Viktor',
  'Wren',
  'Ximena',
  'Yuki',
  'Zola',
  'Anouk',
  'Bruno',
  'Carmen',
  'Dmitri',
] as const;

/** Initials of those who share a first name with somebody before them. */
const INITIALS = ['', 'B', 'C', 'D', 'E'] as const;

/** How many people the demo has: enough for a model of its own, whose training keeps a tenth of them to be measured on. */
export const DEMO_PEOPLE: number = NAMES.length * INITIALS.length;

/** Standard deviation of a person's mood at one picture, beside likings of up to about 2. */
const MOOD = 0.35;
/** Likings nearer to zero than this are passed over more often than judged. */
const INDIFFERENCE = 0.25;

/** At most {@link DEMO_PEOPLE} people, dealt to the groups in turn. The same seed gives the same people. */
export function people(count: number = DEMO_PEOPLE, seed = 1): Person[] {
  const groups = Object.keys(GROUPS) as GroupName[];
  const names = INITIALS.flatMap((initial) => NAMES.map((name) => (initial ? `${name} ${initial}.` : name)));
  return names.slice(0, count).map((displayName, index) => {
    const group = groups[index % groups.length]!;
    const personSeed = `people/${seed}/${index}`;
    const random = new Random(personSeed);
    return {
      externalId: `${displayName.toLowerCase().replace(/\W+/g, '-').replace(/-$/, '')}-${group}`,
      displayName,
      group,
      taste: GROUPS[group],
      own: {
        styles: Object.fromEntries(
          random.choose(Object.keys(STYLES), 2).map((style) => [style, random.between(-0.5, 0.5)]),
        ),
        subjects: Object.fromEntries(
          random.choose(Object.keys(SUBJECTS), 5).map((subject) => [subject, random.between(-0.9, 0.9)]),
        ),
      },
      seed: personSeed,
    };
  });
}

/** How much a person likes what has these attributes, without mood: about −2 to 2, 0 is indifference. */
export function liking({ taste, own }: Person, attributes: Attributes): number {
  const theme = SUBJECTS[attributes.subject].theme;
  return (
    (taste.styles[attributes.style] ?? 0) +
    (taste.palettes[attributes.palette] ?? 0) * 0.7 +
    (taste.themes[theme] ?? 0) * 0.6 +
    (taste.details[attributes.detail] ?? 0) * 0.5 +
    (own.styles[attributes.style] ?? 0) +
    (own.subjects[attributes.subject] ?? 0)
  );
}

/**
 * What a person makes of the pictures put before them, in the order shown: likes, dislikes, and a skip where they are
 * of two minds. The same person makes the same of the same pictures.
 */
export function judge(person: Person, pictures: readonly Picture[]): SimulatedJudgement[] {
  const random = new Random(`${person.seed}/judgements`);
  return pictures.map((picture) => {
    const felt = liking(person, picture.attributes) + MOOD * random.normal();
    const skipped = Math.abs(felt) < INDIFFERENCE && random.uniform() < 0.7;
    return { picture, sentiment: skipped ? 'SKIP' : felt > 0 ? 'LIKE' : 'DISLIKE' };
  });
}
