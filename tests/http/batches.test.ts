/** Work done together: whatever a request asks for, one call of the model and no statement more for a longer page. */
import { type TestService, type TestTenant, testService } from './service.ts';

/** People alike in all but their names. */
const PEOPLE = 12;
const SHADES = ['#ff0000', '#ee1010', '#dd0000', '#cc2020'];

let service: TestService;
let tenant: TestTenant;
let images: string[];

beforeAll(async () => {
  service = await testService();
  tenant = await service.tenant();
  const names = Array.from({ length: PEOPLE }, (_, i) => `person ${i}`);
  const people = await tenant.people(...names);
  images = await Promise.all(SHADES.map((colour) => tenant.upload(colour)));
  const owned = await Promise.all(names.map((owner, i) => tenant.upload(`#0000${10 + i}`, { owner })));
  await tenant.encode();
  for (const [i, person] of people.entries()) await tenant.judge(person, 'LIKE', images[0]!, owned[i]!);
});
afterAll(() => service.close());

it('scores all people, images and rankings of a request in one call of the model', async () => {
  const before = service.scoreCalls();
  const { data, errors } = await tenant.ask(
    `query ($a: ID!, $b: ID!, $ids: [ID!]!) {
      users(first: 100) {
        nodes {
          a: score(imageId: $a) { value }
          b: score(imageId: $b) { value }
          rank(imageIds: $ids) { scores { value } }
        }
      }
    }`,
    { a: images[1], b: images[2], ids: images },
  );
  expect(errors).toEqual([]);
  expect(data.users.nodes).toHaveLength(PEOPLE);
  expect(service.scoreCalls() - before).toBe(1);
});

it('explains all scores of a request in one call more', async () => {
  const before = service.scoreCalls();
  const { errors } = await tenant.ask(
    `query ($id: ID!) {
      users(first: 100) {
        nodes { score(imageId: $id) { explanation { influences { effect } tokens { weight } attention { heads } } } }
      }
    }`,
    { id: images[1] },
  );
  expect(errors).toEqual([]);
  expect(service.scoreCalls() - before).toBe(2);
});

it.each([
  [
    'people',
    `users(first: $first) {
      totalCount
      nodes {
        feedback(first: 3) { totalCount nodes { user { id } image { id owner { id } } } }
        score(imageId: $id) {
          image { id } user { id } model { id } explanation { influences { feedback { image { id } } } }
        }
        recommendations(first: 3) { nodes { image { id } } }
        similarUsers(first: 3) { nodes { user { externalId } } }
        preferenceProfile { likes }
      }
    }`,
  ],
  ['images', 'images(first: $first) { totalCount nodes { url owner { id } similarImages { id } } }'],
])('sends as many statements for twelve %s and all that is theirs as for two', async (_, fields) => {
  const statements = async (first: number) => {
    const before = service.statements();
    const query = `query ($first: Int!, $id: ID!) { ${fields} node(id: $id) { id } }`;
    const { errors } = await tenant.ask(query, { first, id: images[1] });
    expect(errors).toEqual([]);
    return service.statements() - before;
  };
  await statements(PEOPLE); // what is kept in memory is there
  const short = await statements(2);
  // Which loads fall into one turn of the event loop varies by a statement or two; an edge without a loader would add
  // one for each of the ten more.
  expect((await statements(PEOPLE)) - short).toBeLessThan(5);
});
