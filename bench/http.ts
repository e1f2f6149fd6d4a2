/**
 * Candidates a second through HTTP: `rank` of 1 to 200 candidates for one person, and for many people at once, beside
 * the smallest request there is. Starts the service itself, on this machine, with an empty tenant and gallery pictures.
 *
 *     npm run bench:http
 *
 * Runs for about a minute, most of it drawing and encoding pictures. A person's state is kept from the second request
 * on, as in service; client and service share the machine.
 */
import { gallery } from '../src/gallery/gallery.ts';
import { people as galleryPeople, judge } from '../src/gallery/people.ts';
import { type Picture, renderPicture } from '../src/gallery/picture.ts';
import { figure, medians } from './support/measure.ts';
import { type RunningService, startService } from './support/service.ts';

const PICTURES = 200;
const CANDIDATES = [1, 8, 64, 200];
const PEOPLE_AT_ONCE = [1, 4, 16];
const CANDIDATES_EACH = 8;
const JUDGED = 40;
const UPLOADS_AT_ONCE = 4;
const BUDGET_MS = 4_000;
const LOOK_MS = 300;

const RANK = `query ($externalId: String!, $imageIds: [ID!]!) {
  user(by: {externalId: $externalId}) { rank(imageIds: $imageIds) { scores { value image { id } } notScored { message } } }
}`;

const pictures = gallery(PICTURES);
const people = galleryPeople().slice(0, Math.max(...PEOPLE_AT_ONCE));
const service = await startService();
try {
  const begun = performance.now();
  const ids = await upload(service, pictures);
  console.log(`${PICTURES} pictures drawn, uploaded and encoded in ${figure((performance.now() - begun) / 1000)} s`);
  await submit(service, ids);
  const rank = async (person: number, count: number): Promise<void> => {
    const variables = { externalId: people[person]!.externalId, imageIds: ids.slice(0, count) };
    const { user } = await service.query<RankAnswer>(RANK, variables);
    if (user.rank.scores.length !== count) throw new Error(`Not scored: ${user.rank.notScored[0]?.message}`);
  };

  const one: Record<string, string | number>[] = [];
  for (const count of CANDIDATES) {
    const ms = await medians(
      { smallest: () => service.query('{ viewer { role } }'), rank: () => rank(0, count) },
      BUDGET_MS,
    );
    one.push({
      candidates: count,
      'rank, ms': figure(ms.rank),
      'candidates a second': figure((1000 * count) / ms.rank),
      'smallest request, ms': figure(ms.smallest),
      ratio: `${(ms.rank / ms.smallest).toFixed(1)} ×`,
    });
  }
  console.table(one);

  const many: Record<string, string | number>[] = [];
  for (const count of PEOPLE_AT_ONCE) {
    const everyone = Array.from({ length: count }, (_, person) => person);
    const ms = await medians(
      {
        together: () => Promise.all(everyone.map((person) => rank(person, CANDIDATES_EACH))),
        inTurn: async () => {
          for (const person of everyone) await rank(person, CANDIDATES_EACH);
        },
      },
      BUDGET_MS,
    );
    many.push({
      'people at once': count,
      'candidates each': CANDIDATES_EACH,
      'together, ms': figure(ms.together),
      'in turn, ms': figure(ms.inTurn),
      together: `${(ms.inTurn / ms.together).toFixed(1)} × faster`,
      'candidates a second': figure((1000 * count * CANDIDATES_EACH) / ms.together),
    });
  }
  console.table(many);
} finally {
  await service.stop();
}

interface RankAnswer {
  user: { rank: { scores: unknown[]; notScored: { message: string }[] } };
}

/** The pictures' ids, in their order, once all of them can be scored. */
async function upload({ url, serviceKey, query }: RunningService, drawn: readonly Picture[]): Promise<string[]> {
  const sent: string[] = [];
  const waiting = [...drawn.keys()];
  const sendNext = async (): Promise<void> => {
    for (let i = waiting.shift(); i !== undefined; i = waiting.shift()) {
      const response = await fetch(`${url}/images`, {
        method: 'POST',
        headers: { authorization: `Bearer ${serviceKey}`, 'content-type': 'application/octet-stream' },
        body: await renderPicture(drawn[i]!),
      });
      if (!response.ok) throw new Error(`${drawn[i]!.name}: ${response.status} ${await response.text()}`);
      sent[i] = ((await response.json()) as { id: string }).id;
    }
  };
  await Promise.all(Array.from({ length: UPLOADS_AT_ONCE }, sendNext));
  for (;;) {
    const { images } = await query<{ images: { totalCount: number } }>('{ images(status: PENDING) { totalCount } }');
    if (images.totalCount === 0) return sent;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** Everybody judges pictures of the end of the gallery; candidates are taken from its beginning. */
async function submit({ query }: RunningService, ids: readonly string[]): Promise<void> {
  await query('mutation ($input: UpsertUsersInput!) { upsertUsers(input: $input) { userErrors { message } } }', {
    input: { items: people.map(({ externalId }) => ({ externalId })) },
  });
  const idOf = new Map(pictures.map((picture, i) => [picture, ids[i]!]));
  for (const person of people) {
    const items = judge(person, pictures.slice(-JUDGED)).map(({ picture, sentiment }) => ({
      user: { externalId: person.externalId },
      image: { id: idOf.get(picture)! },
      sentiment,
    }));
    const { submitFeedback } = await query<{ submitFeedback: { userErrors: { message: string }[] } }>(
      'mutation ($input: SubmitFeedbackInput!) { submitFeedback(input: $input) { userErrors { message } } }',
      { input: { items } },
    );
    if (submitFeedback.userErrors.length > 0) throw new Error(submitFeedback.userErrors[0]!.message);
  }
}
