/**
 * What happens while a person or a picture is being erased leaves nothing behind, and nobody without bytes. A lock held
 * by the test makes each order happen; PostgreSQL says who waits for it, so that nothing is left to chance.
 */
import { createHash } from 'node:crypto';
import pg from 'pg';
import { deleteUser } from '../../src/domain/erasure.ts';
import { fromGlobalId, newId } from '../../src/domain/ids.ts';
import type { Platform } from '../../src/domain/platform.ts';
import { eraseFiles } from '../../src/domain/storedFiles.ts';
import { findTraces } from '../../src/domain/traces.ts';
import { takePicture } from '../../src/domain/uploads.ts';
import type { FileStore } from '../../src/files/store.ts';
import { picture, type TestService, type TestTenant, testService } from './service.ts';

let service: TestService;
let tenant: TestTenant;
let holder: pg.Client;
/** Beside the holder: within a transaction PostgreSQL shows its activity as it was when first asked. */
let watcher: pg.Client;

beforeAll(async () => {
  service = await testService();
  [holder, watcher] = [service.test.ownerUrl, service.test.ownerUrl].map(
    (connectionString) => new pg.Client({ connectionString }),
  ) as [pg.Client, pg.Client];
  await Promise.all([holder.connect(), watcher.connect()]);
});
afterEach(() => holder.query('ROLLBACK'));
afterAll(async () => {
  await Promise.all([holder.end(), watcher.end()]);
  await service.close();
});
beforeEach(async () => {
  tenant = await service.tenant();
});

const uuid = (globalId: string) => fromGlobalId(globalId)!.id;
const shaOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const caller = {
  credential: {
    role: 'SERVICE',
    tenant: { id: newId(), pointsPerMinute: 1 },
    ...{ id: newId(), actor: 'a service', userId: null, pointsPerMinute: null, expiresAt: null },
  },
  address: null,
  requestId: 'a-test',
} as const;
const SUBMIT = `mutation ($input: SubmitFeedbackInput!) {
  submitFeedback(input: $input) { feedback { id } userErrors { field code message } }
}`;
const COMPARE = `mutation ($input: SubmitComparisonInput!) {
  submitComparison(input: $input) { comparison { id } userErrors { field code message } }
}`;
const UPDATE = `mutation ($items: [UpdateImageItem!]!) {
  updateImages(input: { items: $items }) { images { id } userErrors { field code } }
}`;
const DELETE_IMAGES = `mutation ($ids: [ID!]!) { deleteImages(input: { ids: $ids }) { deletedIds userErrors { code } } }`;

const erasePerson = (user: string) => tenant.run(() => deleteUser(service.platform, caller, user));
const traces = async (...values: string[]) =>
  (await tenant.run(() => findTraces(service.platform, values))).filter(({ kept }) => !kept);

/** Holds a row as the strongest lock does, until it is let go. */
async function hold(table: 'users' | 'images', globalId: string): Promise<() => Promise<void>> {
  await holder.query('BEGIN');
  await holder.query("SELECT set_config('app.tenant_id', $1, true)", [tenant.id]);
  const { rowCount } = await holder.query(`SELECT FROM ${table} WHERE id = $1 FOR UPDATE`, [uuid(globalId)]);
  expect(rowCount).toBe(1);
  return async () => void (await holder.query('COMMIT'));
}

/** Resolves when so many sessions of this database wait for a lock. */
async function waiting(count: number): Promise<void> {
  for (;;) {
    const { rows } = await watcher.query(
      `SELECT count(*)::int AS count FROM pg_stat_activity
       WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    if (rows[0].count >= count) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The platform with a store that lets a test in before one of its methods does its work. */
function storing(method: 'put' | 'remove', before: () => Promise<void>): Platform {
  const pictures = new Proxy(service.platform.pictures, {
    get(store, name) {
      const value = Reflect.get(store, name);
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]) => {
        if (name === method) await before();
        return Reflect.apply(value, store, args);
      };
    },
  }) as FileStore;
  return { ...service.platform, pictures };
}

function gate(): { reached: Promise<void>; arrive: () => Promise<void>; open: () => void } {
  let arrived: () => void;
  let open: () => void = () => {};
  const reached = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return {
    reached,
    arrive: () => {
      arrived();
      return opened;
    },
    open: () => open(),
  };
}

describe('a judgement', () => {
  for (const first of ['judgement', 'erasure'] as const) {
    it(`that meets the erasure of its person leaves nothing, the ${first} being first`, async () => {
      const [user] = (await tenant.people('ada')) as [string];
      const image = await tenant.upload('#ff0000');
      const letGo = await hold('users', user);
      const item = { user: { id: user }, image: { id: image }, sentiment: 'LIKE' };
      const submit = () => tenant.ask(SUBMIT, { input: { items: [item], idempotencyKey: 'ada once' } });
      const begin = { judgement: submit, erasure: () => erasePerson(user) };
      const second = first === 'judgement' ? 'erasure' : 'judgement';
      const started = [begin[first]()] as Promise<unknown>[];
      await waiting(1);
      started.push(begin[second]());
      await waiting(2);
      await letGo();
      const [one, two] = await Promise.all(started);
      const { data } = (first === 'judgement' ? one : two) as Awaited<ReturnType<typeof submit>>;
      expect(data.submitFeedback).toEqual(
        first === 'judgement'
          ? { feedback: [{ id: expect.any(String) }], userErrors: [] }
          : {
              feedback: [null],
              userErrors: [
                {
                  ...{ field: ['items', '0'], code: 'NOT_FOUND' },
                  message: 'The user or the image has just been deleted.',
                },
              ],
            },
      );
      expect(await traces(user, ...(first === 'judgement' ? ['ada once'] : []))).toEqual([]);
    });
  }

  it('of a picture that is deleted meanwhile is NOT_FOUND', async () => {
    const [user] = (await tenant.people('ada')) as [string];
    const image = await tenant.upload('#ff0000');
    const letGo = await hold('images', image);
    const deletion = tenant.ask(DELETE_IMAGES, { ids: [image] });
    await waiting(1);
    const item = { user: { id: user }, image: { id: image }, sentiment: 'LIKE' };
    const judgement = tenant.ask(SUBMIT, { input: { items: [item] } });
    await waiting(2);
    await letGo();
    expect((await deletion).data.deleteImages.deletedIds).toEqual([image]);
    expect((await judgement).data.submitFeedback).toMatchObject({
      feedback: [null],
      userErrors: [{ code: 'NOT_FOUND' }],
    });
  });

  it('that comes in while its picture is being deleted makes the deletion begin anew, and is gone with it', async () => {
    const [user] = (await tenant.people('ada')) as [string];
    const image = await tenant.upload('#ff0000');
    const letGo = await hold('images', image);
    const item = { user: { id: user }, image: { id: image }, sentiment: 'LIKE' };
    const judgement = tenant.ask(SUBMIT, { input: { items: [item] } });
    await waiting(1);
    const deletion = tenant.ask(DELETE_IMAGES, { ids: [image] });
    await waiting(2);
    await letGo();
    expect((await judgement).data.submitFeedback.userErrors).toEqual([]);
    expect((await deletion).data.deleteImages).toEqual({ deletedIds: [image], userErrors: [] });
    const row = await tenant.run(() => service.platform.database.user.findFirstOrThrow());
    expect(row.feedbackVersion).toBe(2); // the judgement's, and the deletion's
  });
});

it('a comparison that meets the erasure of its person is NOT_FOUND', async () => {
  const [user] = (await tenant.people('ada')) as [string];
  const [chosen, other] = [await tenant.upload('#ff0000'), await tenant.upload('#00ff00')];
  const letGo = await hold('users', user);
  const erasure = erasePerson(user);
  await waiting(1);
  const comparison = tenant.ask(COMPARE, {
    input: { user: { id: user }, chosen: { id: chosen }, others: [{ id: other }], idempotencyKey: 'ada' },
  });
  await waiting(2);
  await letGo();
  await erasure;
  expect((await comparison).data.submitComparison).toEqual({
    comparison: null,
    userErrors: [{ field: ['user'], code: 'NOT_FOUND', message: 'There is no user as user names one.' }],
  });
  expect(await traces(user)).toEqual([]);
});

describe('an upload', () => {
  it('for a person who is erased meanwhile is NOT_FOUND, and leaves no bytes', async () => {
    const [user] = (await tenant.people('ada')) as [string];
    const bytes = await picture('#ff8800');
    const letGo = await hold('users', user);
    const erasure = erasePerson(user);
    await waiting(1);
    const upload = tenant.run(() => takePicture(service.platform, bytes, { owner: { id: user } }));
    const refused = expect(upload).rejects.toMatchObject({ code: 'NOT_FOUND', field: ['owner'] });
    await waiting(2);
    await letGo();
    await Promise.all([erasure, refused]);
    expect((await traces(shaOf(bytes))).map(({ place }) => place)).toEqual([
      'public.files_to_erase.sha256',
      'pictures',
    ]);
    await tenant.run(() => eraseFiles(service.platform));
    expect(await traces(user, shaOf(bytes))).toEqual([]);
  });

  it('for a person that is first is erased with them', async () => {
    const [user] = (await tenant.people('ada')) as [string];
    const bytes = await picture('#ff8801');
    const letGo = await hold('users', user);
    const upload = tenant.run(() => takePicture(service.platform, bytes, { owner: { id: user } }));
    await waiting(1);
    const erasure = erasePerson(user);
    await waiting(2);
    await letGo();
    const [{ image }] = await Promise.all([upload, erasure]);
    await tenant.run(() => eraseFiles(service.platform));
    expect(await traces(user, image.id, shaOf(bytes))).toEqual([]);
  });

  it('of the bytes that are being erased at that moment puts them back', async () => {
    const old = await tenant.upload('#ff9900');
    const bytes = await picture('#ff9900');
    await tenant.ask(DELETE_IMAGES, { ids: [old] });
    const removing = gate();
    const erasing = tenant.run(() => eraseFiles(storing('remove', removing.arrive)));
    await removing.reached; // no row needs them: they are about to go
    const upload = tenant.run(() => takePicture(service.platform, bytes, {}));
    await waiting(1);
    removing.open();
    const [, { image, created }] = await Promise.all([erasing, upload]);
    expect(created).toBe(true);
    expect(await service.platform.pictures.get(tenant.id, image.sha256)).toEqual(bytes);
  });

  it('that holds the bytes when the eraser comes keeps them', async () => {
    const old = await tenant.upload('#ff9901');
    const bytes = await picture('#ff9901');
    await tenant.ask(DELETE_IMAGES, { ids: [old] });
    const putting = gate();
    let puts = 0;
    const platform = storing('put', async () => {
      puts += 1;
      if (puts === 2) await putting.arrive(); // the one within the transaction
    });
    const upload = tenant.run(() => takePicture(platform, bytes, {}));
    await putting.reached;
    const erasing = tenant.run(() => eraseFiles(service.platform));
    await waiting(1);
    putting.open();
    const [{ image }] = await Promise.all([upload, erasing]);
    expect(await service.platform.pictures.get(tenant.id, image.sha256)).toEqual(bytes);
    expect(await tenant.run(() => service.platform.database.fileToErase.count())).toBe(0);
  });
});

it('an encoding that ends after its picture was deleted writes nothing, and is no failure', async () => {
  const image = await tenant.upload('#ffaa00');
  const letGo = await hold('images', image); // it encodes, and waits where it would write
  const encoding = tenant.encode();
  await waiting(1);
  const deletion = tenant.ask(DELETE_IMAGES, { ids: [image] });
  await waiting(2);
  await letGo();
  await Promise.all([encoding, deletion]);
  await tenant.run(() => eraseFiles(service.platform));
  expect(await traces(image)).toEqual([]);
  // A job taken up before and done after finds neither row nor file.
  await tenant.encode();
  expect(await traces(image)).toEqual([]);
});

it('judging, describing, encoding and deleting the same pictures at once never lock each other out for good', async () => {
  const people = await tenant.people('ada', 'bea', 'cleo', 'dora');
  const images = await Promise.all(
    Array.from({ length: 12 }, (_, i) => tenant.upload(`#0000${(i + 16).toString(16)}`)),
  );
  const judge = (round: number) =>
    tenant.ask(SUBMIT, {
      input: {
        items: people.flatMap((user, i) =>
          images.slice(i, i + 9).map((image) => ({
            ...{ user: { id: user }, image: { id: image }, comment: `round ${round}` },
            sentiment: 'LIKE',
          })),
        ),
      },
    });
  const answers = await Promise.all([
    ...Array.from({ length: 6 }, (_, round) => judge(round)),
    tenant.encode(),
    tenant.ask(UPDATE, { items: images.slice(3, 9).map((id) => ({ id, prompt: 'another' })) }),
    tenant.ask(UPDATE, {
      items: images
        .slice(5, 12)
        .reverse()
        .map((id) => ({ id, owner: { id: people[0] } })),
    }),
    tenant.ask(DELETE_IMAGES, { ids: images.slice(0, 5) }),
    erasePerson(people[1]!),
    tenant.ask(DELETE_IMAGES, { ids: images.slice(4, 7).reverse() }),
    erasePerson(people[0]!),
  ]);
  for (const answer of answers) if (answer && 'errors' in answer) expect(answer.errors).toEqual([]);
  expect(await traces(people[0]!, people[1]!)).toEqual([]);
});
