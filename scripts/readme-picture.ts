/**
 * Draws docs/images/two-people.webp: what two people of the demo liked and disliked, and what the model recommends to
 * each. Starts the demo, asks its API, and stops it.
 *
 *     npx tsx scripts/readme-picture.ts
 */
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import sharp, { type OverlayOptions } from 'sharp';
import { startService } from '../bench/support/service.ts';

const PEOPLE = ['kavya-graphic', 'leo-painterly'];
const JUDGED = 4;
const RECOMMENDED = 6;
/** In pixels. */
const TILE = 132;
const GAP = 6;
const HEADING = 34;
const COLUMN_GAP = 26;

const FILE = fileURLToPath(new URL('../docs/images/two-people.webp', import.meta.url));

interface Shown {
  readonly displayName: string;
  readonly liked: { readonly nodes: readonly { readonly image: { readonly url: string } }[] };
  readonly disliked: Shown['liked'];
  readonly recommendations: Shown['liked'];
}

const QUERY = `query ($externalId: String!) {
  user(by: {externalId: $externalId}) {
    displayName
    liked: feedback(first: ${JUDGED}, sentiment: LIKE) { nodes { image { url(maxSize: 256) } } }
    disliked: feedback(first: ${JUDGED}, sentiment: DISLIKE) { nodes { image { url(maxSize: 256) } } }
    recommendations(first: ${2 * RECOMMENDED}) { nodes { image { url(maxSize: 256) } } }
  }
}`;

/** Columns of each part: what was liked and disliked, two by two, and two rows of recommendations. */
const PARTS = [
  { title: 'liked', columns: JUDGED / 2, of: ({ liked }: Shown) => liked },
  { title: 'disliked', columns: JUDGED / 2, of: ({ disliked }: Shown) => disliked },
  { title: 'recommended', columns: RECOMMENDED, of: ({ recommendations }: Shown) => recommendations },
] as const;

const columns = PARTS.reduce((sum, part) => sum + part.columns, 0);
const width = columns * (TILE + GAP) + (PARTS.length + 1) * COLUMN_GAP - GAP;
const rowHeight = HEADING + 2 * (TILE + GAP);
const height = PEOPLE.length * rowHeight + COLUMN_GAP;

const service = await startService({ args: [] });
try {
  const tiles: OverlayOptions[] = [];
  for (const [row, externalId] of PEOPLE.entries()) {
    const { user } = await service.query<{ user: Shown }>(QUERY, { externalId });
    const top = COLUMN_GAP / 2 + row * rowHeight;
    let left = COLUMN_GAP;
    for (const part of PARTS) {
      tiles.push({
        input: heading(`${user.displayName} ${part.title === 'recommended' ? 'would like' : part.title}`),
        left,
        top,
      });
      for (const [place, { image }] of part.of(user).nodes.entries()) {
        const bytes = Buffer.from(await (await fetch(image.url)).arrayBuffer());
        tiles.push({
          input: await sharp(bytes).resize(TILE, TILE).toBuffer(),
          left: left + (place % part.columns) * (TILE + GAP),
          top: top + HEADING + Math.floor(place / part.columns) * (TILE + GAP),
        });
      }
      left += part.columns * (TILE + GAP) + COLUMN_GAP;
    }
  }
  await mkdir(new URL('../docs/images/', import.meta.url), { recursive: true });
  await sharp({ create: { width, height, channels: 3, background: '#ffffff' } })
    .composite(tiles)
    .webp({ quality: 82 })
    .toFile(FILE);
} finally {
  await service.stop();
}

function heading(words: string): Buffer {
  return Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="320" height="${HEADING}"><text x="0" y="22" font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="17" fill="#333">${words}</text></svg>`,
  );
}
