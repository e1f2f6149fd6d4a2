/**
 * Do people of opposite taste get opposite rankings, and do people of one taste find each other? Starts the service
 * itself and does everything over HTTP, with pictures that you bring:
 *
 *     npx tsx bench/taste-groups.ts --images DIR --metadata FILE [--seed 1] [--judgements 40] [--ranked 150]
 *
 * FILE is a list of {file, artist, categories}, `file` relative to DIR. Twelve people in three groups judge pictures
 * by their tags, with noise; the first two groups like what the other dislikes. Artists whose pictures are judged and
 * artists whose pictures are ranked are different ones. Prints two figures, and ends with 1 where a goal is missed:
 *
 * - Spearman's correlation between the rankings of people of opposite taste: at most −0.5
 * - of each person's three nearest in `similarUsers`, how many are of their group: at least 2.5 on average
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Random } from '../src/random.ts';
import { spearman } from '../src/training/evaluation/metrics.ts';
import { type Artist, type Pictures, readPictures } from '../src/training/simulation/pictures.ts';
import { type RunningService, startService } from './support/service.ts';

const GOALS = { opposites: -0.5, neighbours: 2.5 };
const PEOPLE_A_GROUP = 4;
const NEAREST = 3;
/** Judgements against a person's own taste. */
const NOISE = 0.1;
/** Tags of a group's liking, and of its disliking. */
const TAGS_A_SIDE = 2;
/** A tag with fewer artists is no taste that would meet enough pictures. */
const FEWEST_ARTISTS = 8;
const UPLOADS_AT_ONCE = 6;

/** Tags that say where or when an artist lived, or for whom they worked, and not what can be seen. */
const NOT_SEEN =
  /century|^(USA|UK|Scotland|England|Ireland|France|Germany|Italy|Japan|Netherlands|Canada|Russia|Poland|Australia|Austria|Spain|Belgium|China|Sweden|Norway|Denmark|Finland|Switzerland|Mexico|Brazil|Argentina|Hungary|Ukraine|Czech Republic|India|Korea|South Korea|Iran|Turkey|Greece|Author|DC Comics|Marvel|MTG|DnD|Cover Art)$/i;

interface Taste {
  readonly liked: readonly string[];
  readonly disliked: readonly string[];
}

interface Person {
  readonly externalId: string;
  readonly group: number;
  readonly taste: Taste;
}

const { values } = parseArgs({
  options: {
    images: { type: 'string' },
    metadata: { type: 'string' },
    seed: { type: 'string', default: '1' },
    judgements: { type: 'string', default: '40' },
    ranked: { type: 'string', default: '150' },
  },
});
if (!values.images || !values.metadata) {
  process.stderr.write('Name the pictures with --images DIR and their metadata with --metadata FILE.\n');
  process.exit(2);
}
const random = new Random(`taste-groups/${values.seed}`);
const pictures = readPictures(JSON.parse(await readFile(values.metadata, 'utf8')));
const tastes = drawTastes(pictures, random.split('tastes'));
const people = tastes.flatMap((taste, group) =>
  Array.from({ length: PEOPLE_A_GROUP }, (_, i): Person => ({ externalId: `group${group}-${i}`, group, taste })),
);
const artists = random.split('artists').shuffle(pictures.artists);
const rankedArtists = artists.slice(0, Math.floor(artists.length / 3));
const judgedArtists = artists.slice(rankedArtists.length);
const ranked = random.split('ranked').choose(
  rankedArtists.flatMap(({ images }) => images),
  Number(values.ranked),
);
const judged = people.map((person) =>
  judgementsOf(person, judgedArtists, Number(values.judgements), random.split(person.externalId)),
);

tastes.forEach(({ liked, disliked }, group) => {
  console.log(`group ${group}: likes ${liked.join(', ')}; dislikes ${disliked.join(', ')}`);
});
const service = await startService();
try {
  const images = [...new Set([...ranked, ...judged.flat().map(({ image }) => image)])];
  const idOf = await upload(service, values.images, pictures, images);
  await submit(service, idOf);
  const rankings = await Promise.all(
    people.map((person) =>
      rankingOf(
        service,
        person,
        ranked.map((image) => idOf.get(image)!),
      ),
    ),
  );
  const opposites = people.flatMap((one, i) =>
    people.flatMap((other, j) => (one.group === 0 && other.group === 1 ? [spearman(rankings[i]!, rankings[j]!)] : [])),
  );
  const neighbours = await Promise.all(people.map((person) => neighboursOfOwnGroup(service, person)));
  const figures = { opposites: mean(opposites), neighbours: mean(neighbours) };
  console.log(
    `Spearman between rankings of people of opposite taste: ${figures.opposites.toFixed(3)} (goal: at most ${GOALS.opposites})`,
  );
  console.log(
    `Of the ${NEAREST} nearest in similarUsers, of one's own group: ${figures.neighbours.toFixed(2)} (goal: at least ${GOALS.neighbours})`,
  );
  if (!(figures.opposites <= GOALS.opposites && figures.neighbours >= GOALS.neighbours)) process.exitCode = 1;
} finally {
  await service.stop();
}

/** Two opposite tastes and a third over other tags. */
function drawTastes({ artists }: Pictures, random: Random): Taste[] {
  const carriers = new Map<string, number>();
  for (const { tags } of artists) for (const tag of tags) carriers.set(tag, (carriers.get(tag) ?? 0) + 1);
  const tags = [...carriers.keys()].filter((tag) => carriers.get(tag)! >= FEWEST_ARTISTS && !NOT_SEEN.test(tag)).sort();
  const drawn = random.choose(tags, 4 * TAGS_A_SIDE);
  const side = (n: number): string[] => drawn.slice(n * TAGS_A_SIDE, (n + 1) * TAGS_A_SIDE);
  return [
    { liked: side(0), disliked: side(1) },
    { liked: side(1), disliked: side(0) },
    { liked: side(2), disliked: side(3) },
  ];
}

/** Pictures that speak to a person's taste, half of them liked, each artist at most once; some judged the other way. */
function judgementsOf({ taste }: Person, artists: readonly Artist[], count: number, random: Random) {
  const leaning = ({ tags }: Artist): number =>
    tags.filter((tag) => taste.liked.includes(tag)).length - tags.filter((tag) => taste.disliked.includes(tag)).length;
  const shuffled = random.shuffle(artists);
  const side = (sign: 1 | -1) =>
    shuffled
      .filter((artist) => leaning(artist) * sign > 0)
      .slice(0, count / 2)
      .map(({ images }) => {
        const flipped = random.uniform() < NOISE;
        return { image: random.pick(images), sentiment: sign > 0 !== flipped ? 'LIKE' : 'DISLIKE' };
      });
  return random.shuffle([...side(1), ...side(-1)]);
}

async function upload(
  { url, serviceKey, query }: RunningService,
  directory: string,
  { files }: Pictures,
  images: readonly number[],
) {
  const idOf = new Map<number, string>();
  const waiting = [...images];
  const sendNext = async (): Promise<void> => {
    for (let image = waiting.pop(); image !== undefined; image = waiting.pop()) {
      const response = await fetch(`${url}/images`, {
        method: 'POST',
        headers: { authorization: `Bearer ${serviceKey}`, 'content-type': 'image/jpeg' },
        body: await readFile(join(directory, files[image]!)),
      });
      if (!response.ok) throw new Error(`${files[image]}: ${response.status} ${await response.text()}`);
      idOf.set(image, ((await response.json()) as { id: string }).id);
    }
  };
  await Promise.all(Array.from({ length: UPLOADS_AT_ONCE }, sendNext));
  for (let pending = Infinity; pending > 0; ) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    const data = await query<{ images: { totalCount: number } }>('{ images(status: PENDING) { totalCount } }');
    pending = data.images.totalCount;
  }
  return idOf;
}

async function submit({ query }: RunningService, idOf: ReadonlyMap<number, string>): Promise<void> {
  await query('mutation ($input: UpsertUsersInput!) { upsertUsers(input: $input) { userErrors { message } } }', {
    input: { items: people.map(({ externalId }) => ({ externalId })) },
  });
  for (const [i, { externalId }] of people.entries()) {
    const items = judged[i]!.map(({ image, sentiment }) => ({
      user: { externalId },
      image: { id: idOf.get(image)! },
      sentiment,
    }));
    const { submitFeedback } = await query<{ submitFeedback: { userErrors: { message: string }[] } }>(
      'mutation ($input: SubmitFeedbackInput!) { submitFeedback(input: $input) { userErrors { message } } }',
      { input: { items } },
    );
    if (submitFeedback.userErrors.length > 0) throw new Error(submitFeedback.userErrors[0]!.message);
  }
}

/** The value of each image for a person, in the images' order. */
async function rankingOf(
  { query }: RunningService,
  { externalId }: Person,
  imageIds: readonly string[],
): Promise<number[]> {
  const { user } = await query<{ user: { rank: { scores: { image: { id: string }; value: number }[] } } }>(
    'query ($externalId: String!, $imageIds: [ID!]!) { user(by: {externalId: $externalId}) { rank(imageIds: $imageIds) { scores { value image { id } } } } }',
    { externalId, imageIds },
  );
  const place = new Map(user.rank.scores.map(({ image }, index) => [image.id, -index]));
  return imageIds.map((id) => place.get(id)!);
}

async function neighboursOfOwnGroup({ query }: RunningService, { externalId, group }: Person): Promise<number> {
  const { user } = await query<{ user: { similarUsers: { nodes: { user: { externalId: string } }[] } } }>(
    'query ($externalId: String!, $first: Int!) { user(by: {externalId: $externalId}) { similarUsers(first: $first) { nodes { user { externalId } } } } }',
    { externalId, first: NEAREST },
  );
  return user.similarUsers.nodes.filter((node) => node.user.externalId.startsWith(`group${group}-`)).length;
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}
