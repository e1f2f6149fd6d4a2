/** Every HTTP route that there is, as every role meets it; what is another tenant's stays out of reach by any of them. */
import { fromGlobalId } from '../../src/domain/ids.ts';
import { picture } from '../http/service.ts';
import { ROLES, ROUTES, type Role } from './expected.ts';
import { hostileIds, neverWas } from './hostileIds.ts';
import { makeWorld, type World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await makeWorld();
});
afterAll(() => world.close());

/** Every answer names the request: given one id, equal answers are equal letter by letter. */
const SAME_ID = { 'x-request-id': 'the-same' };

/** fastify reads no parameter of a path that is longer. */
const LONGEST_IN_PATH = 100;

type Caller = Role | 'NOBODY';
const CALLERS: readonly Caller[] = ['NOBODY', ...ROLES];

/** What fastify has been told to answer: `METHOD path`. */
function routesOf(): string[] {
  const printed = world.service.server.printRoutes({ commonPrefix: false });
  const above: string[] = []; // a route below another is printed without its path, four characters further in
  return printed.split('\n').flatMap((line) => {
    const [, indent = '', path, methods] = /^([^\w/]*)(\/\S*) \((.+)\)/.exec(line) ?? [];
    if (!path || !methods) return [];
    const depth = indent.length / 4;
    above.splice(depth - 1, above.length, (above[depth - 2] ?? '') + path);
    return methods.split(', ').map((method) => `${method} ${above.at(-1)}`);
  });
}

async function headersOf(caller: Caller): Promise<Record<string, string>> {
  return caller === 'NOBODY' ? SAME_ID : { ...SAME_ID, authorization: `Bearer ${await world.key(caller)}` };
}

/** A right request of each route, with no credential but the caller's. */
async function send(route: string, caller: Caller): Promise<Response> {
  const [method = '', path = ''] = route.split(' ');
  const headers = await headersOf(caller);
  const url = world.service.url;
  if (path === '/graphql') {
    const query = '{ viewer { role } }';
    const body = method === 'POST' ? { body: JSON.stringify({ query }) } : {};
    const address = method === 'POST' ? `${url}${path}` : `${url}${path}?query=${encodeURIComponent(query)}`;
    const json = { 'content-type': 'application/json', 'apollo-require-preflight': 'yes' };
    return fetch(address, { method, headers: { ...headers, ...json }, ...body });
  }
  if (route === 'POST /graphql/stream') {
    const body = JSON.stringify({
      query: `subscription { trainingProgress(jobId: "${neverWas(['TrainingJob'])}") { id } }`,
    });
    return fetch(`${url}${path}`, { method, headers: { ...headers, 'content-type': 'application/json' }, body });
  }
  if (route === 'POST /images') {
    const body = Uint8Array.from(await picture('#abcdef'));
    return fetch(`${url}${path}`, { method, headers: { ...headers, 'content-type': 'image/png' }, body });
  }
  if (path === '/users/:id/export') return fetch(`${url}/users/${world.ours.ada.User}/export`, { method, headers });
  if (path === '/pictures/:tenantId/:imageId') return fetch(await urlOf(world.ours.shared), { method, headers });
  return fetch(`${url}${path.replaceAll(/:\w+/g, 'nothing')}`, { method, headers });
}

/** The signed address of one of our images. */
async function urlOf(image: string): Promise<string> {
  const { data } = await world.ask('SERVICE', 'query ($id: ID!) { image(by: { id: $id }) { url } }', { id: image });
  return data.image.url;
}

it('every route has its line in expected.ts, and none besides', () => {
  for (const route of routesOf()) {
    if (route in ROUTES) continue;
    throw new Error(`Nobody has said who may ask ${route}: add its line to ROUTES in tests/isolation/expected.ts.`);
  }
  expect(Object.keys(ROUTES).sort()).toEqual([...routesOf(), 'GET /anything else'].sort());
});

it.each(Object.keys(ROUTES))('%s answers each role what the table says', async (route) => {
  const answered = [];
  for (const caller of CALLERS) answered.push((await send(route, caller)).status);
  expect([route, answered.join(' ')]).toEqual([route, ROUTES[route]]);
});

describe('POST /images', () => {
  async function upload(owner: string, caller: Role): Promise<[number, string]> {
    const form = new FormData();
    form.set('file', new Blob([await picture('#fedcba')]), 'picture.png');
    form.set('owner', owner);
    const headers = await headersOf(caller);
    const response = await fetch(`${world.service.url}/images`, { method: 'POST', headers, body: form });
    return [response.status, (await response.text()).replaceAll(owner, '<owner>')];
  }

  it("takes another tenant's person for nobody, by their name and by their id", async () => {
    const before = await world.rowsOf(world.theirs);
    for (const caller of ['ADMIN', 'SERVICE'] as const) {
      const never = await upload('a person that never was', caller);
      expect(never[0]).toBe(404);
      const { word, bob } = world.theirs;
      for (const owner of [`${word}-bob`, `${word}-ada`, bob.User, `${fromGlobalId(bob.User)?.id}`]) {
        expect(await upload(owner, caller)).toEqual(never);
      }
    }
    expect(await world.rowsOf(world.theirs)).toEqual(before);
  });

  it('takes the bytes of their picture for a new one', async () => {
    const headers = { ...(await headersOf('SERVICE')), 'content-type': 'image/png' };
    const body = Uint8Array.from(await picture('#ee1100'));
    const response = await fetch(`${world.service.url}/images`, { method: 'POST', headers, body });
    expect(response.status).toBe(201);
    expect(await response.json()).not.toEqual({ id: world.theirs.shared });
  });
});

describe('GET /users/<id>/export', () => {
  it("gives to nobody what is another tenant's, another person's or nobody's, in the same words", async () => {
    const read = async (id: string, caller: Role) => {
      const path = `/users/${encodeURIComponent(id)}/export`;
      const response = await fetch(`${world.service.url}${path}`, { headers: await headersOf(caller) });
      return [response.status, (await response.text()).replaceAll(encodeURIComponent(id), '<id>')];
    };
    for (const role of ROLES) {
      const never = await read(neverWas(['User']), role);
      expect([role, never[0]]).toEqual([role, 404]);
      for (const [what, id] of hostileIds(['User'], role, world.ours, world.theirs)) {
        if (id === '' || id.length > LONGEST_IN_PATH) continue; // another path, and one that is refused unread
        expect([role, what, await read(id, role)]).toEqual([role, what, never]);
      }
    }
  });
});

describe('a picture address', () => {
  const uuidOf = (id: string) => fromGlobalId(id)!.id;

  it('with another tenant, another picture, size or time in it is none, in the words for one that never was', async () => {
    const { ours, theirs } = world;
    const address = await urlOf(ours.shared);
    expect((await fetch(address)).status).toBe(200);
    const [tenant, image] = [ours.tenant.id, uuidOf(ours.shared)];
    const read = (url: string) => fetch(url, { headers: SAME_ID });
    const never = await read(address.replace(image, '01890000-0000-7000-8000-000000000000'));
    const words = [never.status, await never.text()];
    expect(words[0]).toBe(404);
    const { data } = await world.ask(
      'SERVICE',
      'query ($id: ID!) { image(by: { id: $id }) { url } }',
      { id: theirs.shared },
      theirs,
    );
    const signature = /signature=([\w-]+)/;
    for (const changed of [
      address.replace(tenant, theirs.tenant.id),
      address.replace(tenant, theirs.tenant.id).replace(image, uuidOf(theirs.shared)),
      address.replace(image, uuidOf(theirs.shared)),
      address.replace(image, uuidOf(ours.bob.Image)),
      address.replace(signature, signature.exec(data.image.url)![0]),
      address.replace(signature, 'signature='),
      address.replace(/expires=\d+/, 'expires=99999999999'),
      `${address}&size=256`,
      address.replace(tenant, "x' OR true --"),
    ]) {
      const response = await read(changed);
      expect([changed, response.status, await response.text()]).toEqual([changed, ...words]);
    }
  });
});
