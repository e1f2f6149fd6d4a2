/**
 * What a bucket adds to a store (store.test.ts): a server that refuses, fails, says nothing or is not there comes to one
 * error for clients, a line in the log, and a start that says what to do.
 */
import { createHash, randomUUID } from 'node:crypto';
import { readConfig } from '../../src/config.ts';
import { openFileStores } from '../../src/files/open.ts';
import { type BucketOptions, S3Bucket } from '../../src/files/s3Bucket.ts';
import { S3Store } from '../../src/files/s3Store.ts';
import { S3_KEY, type S3Server, s3Server } from '../support/s3Server.ts';

const ONE = randomUUID();
const bytes = Buffer.from('the bytes of a picture');
const NAME = createHash('sha256').update(bytes).digest('hex');
const UNREACHABLE = {
  code: 'NOT_READY',
  message: 'The stored files cannot be reached at the moment: try again.',
};
/** What an answer or a log line may never show. */
const SECRETS = new RegExp(`${S3_KEY.accessKeyId}|${S3_KEY.secretAccessKey}|Signature=`);

let server: S3Server;
let reasons: string[];
const log = { warn: ({ reason }: { reason: string }) => void reasons.push(reason) };
beforeEach(async () => {
  server = await s3Server();
  reasons = [];
});
afterEach(() => server.close());

async function withStore<T>(work: (store: S3Store) => Promise<T>, options: Partial<BucketOptions> = {}): Promise<T> {
  const bucket = await S3Bucket.open({ ...server.options, ...options }, '', log);
  try {
    return await work(new S3Store(bucket, 'pictures/'));
  } finally {
    bucket.close();
  }
}

/** What a store is asked for, each by the operation that it comes to. */
const ASKED: Readonly<Record<string, (store: S3Store) => Promise<unknown>>> = {
  HeadObject: (store) => store.put(ONE, NAME, bytes),
  PutObject: (store) => store.put(ONE, NAME, bytes),
  GetObject: (store) => store.get(ONE, NAME),
  DeleteObject: (store) => store.remove(ONE, NAME),
  DeleteObjects: (store) => store.removeTenant(ONE),
  ListObjectsV2: (store) => store.tenants(),
};

describe('a start', () => {
  const start = (changed: Record<string, string>) =>
    openFileStores(readConfig({ ...server.environment, ...changed }), log).then(
      () => 'It starts.',
      ({ code, message }: { code: string; message: string }) => {
        expect(code).toBe('NOT_READY');
        expect(message).not.toMatch(/\n/);
        expect(message).not.toMatch(SECRETS);
        return message;
      },
    );

  it.each([
    [
      'no such bucket',
      { PALATE_S3_BUCKET: 'another' },
      'The bucket another cannot be used: PutObject: 404 NoSuchBucket The specified bucket does not exist. Make the bucket, or set PALATE_S3_BUCKET to another.',
    ],
    [
      'another secret',
      { PALATE_S3_SECRET_ACCESS_KEY: 'wrong' },
      'The bucket palate-test cannot be used: PutObject: 403 SignatureDoesNotMatch The request signature we calculated does not match. Check PALATE_S3_ACCESS_KEY_ID and PALATE_S3_SECRET_ACCESS_KEY.',
    ],
    [
      'another key',
      { PALATE_S3_ACCESS_KEY_ID: 'AKIAWRONG' },
      'The bucket palate-test cannot be used: PutObject: 403 InvalidAccessKeyId The AWS Access Key Id you provided does not exist in our records. Check PALATE_S3_ACCESS_KEY_ID and PALATE_S3_SECRET_ACCESS_KEY.',
    ],
    [
      'another region',
      { PALATE_S3_REGION: 'us-east-1' },
      "The bucket palate-test cannot be used: PutObject: 400 AuthorizationHeaderMalformed the region 'us-east-1' is wrong; expecting 'eu-test-1'. Check PALATE_S3_REGION.",
    ],
    [
      'nobody who answers',
      { PALATE_S3_ENDPOINT: 'http://127.0.0.1:1' },
      /^The bucket palate-test cannot be used: PutObject: .*connect ECONNREFUSED 127\.0\.0\.1:1\. Check PALATE_S3_ENDPOINT, PALATE_S3_REGION and PALATE_S3_PATH_STYLE\.$/,
    ],
  ])('with %s says so, and what to do', async (_, changed, message) => {
    const said = await start(changed);
    if (typeof message === 'string') expect(said).toBe(message);
    else expect(said).toMatch(message);
  });

  it('without any credentials says so, and what to do', async () => {
    process.env['AWS_EC2_METADATA_DISABLED'] = 'true'; // of this realm alone
    expect(await start({ PALATE_S3_ACCESS_KEY_ID: '', PALATE_S3_SECRET_ACCESS_KEY: '' })).toMatch(
      /^The bucket palate-test cannot be used: PutObject: CredentialsProviderError .*\. Set PALATE_S3_ACCESS_KEY_ID and PALATE_S3_SECRET_ACCESS_KEY, or run where the environment has credentials\.$/,
    );
  });

  it.each(Object.keys(ASKED))('with a key that may not do %s says which it is', async (operation) => {
    server.fail('denied', operation);
    expect(await start({})).toMatch(
      // An answer to HEAD has no body to say more in.
      new RegExp(
        `^The bucket palate-test cannot be used: ${operation}: 403 .*\\. Let the key list the bucket and read, `,
      ),
    );
    expect(reasons).toEqual([]); // the error says it all
  });
});

it('warns of a bucket in which erased files live on, and minds no key that may not ask', async () => {
  server.fail('denied', 'GetBucketVersioning');
  await withStore(async () => {});
  expect(reasons).toEqual([]);
  server.mend();
  server.keepVersions();
  await withStore(async () => {});
  expect(reasons).toEqual([
    'it keeps old versions of objects, and what is erased lives on in them: turn versioning off',
  ]);
});

describe('a server', () => {
  it.each(Object.entries(ASKED))('that fails at %s is asked three times, then told of', async (operation, ask) => {
    await withStore(async (store) => {
      if (operation !== 'HeadObject' && operation !== 'PutObject') await store.put(ONE, NAME, bytes);
      const before = server.counts()[operation]!;
      server.fail('error', operation, 2);
      await ask(store);
      expect(server.counts()[operation]! - before).toBe(3);
      expect(reasons).toEqual([]);
      server.mend();
      await store.remove(ONE, NAME);
      if (operation !== 'HeadObject' && operation !== 'PutObject') await store.put(ONE, NAME, bytes);
      server.fail('error', operation);
      await expect(ask(store)).rejects.toMatchObject(UNREACHABLE);
      expect(reasons).toEqual([
        expect.stringMatching(
          operation === 'HeadObject'
            ? /^HeadObject: 500 /
            : `${operation}: 500 InternalError We encountered an internal`,
        ),
      ]);
    });
  });

  it('that says nothing is given up after a while', async () => {
    const ask = async (store: S3Store) => {
      server.fail('silence');
      await expect(store.get(ONE, NAME)).rejects.toMatchObject(UNREACHABLE);
    };
    await withStore(ask, { idleMs: 60 });
    expect(reasons).toEqual([expect.stringMatching(/^GetObject: TimeoutError .* timed out after 60 ms/)]);
  });

  it('that breaks off an answer is asked again, and half of a file is none', async () => {
    await withStore(async (store) => {
      await store.put(ONE, NAME, bytes);
      server.fail('cut', 'GetObject', 2);
      expect(await store.get(ONE, NAME)).toEqual(bytes);
      server.fail('cut', 'GetObject');
      await expect(store.get(ONE, NAME)).rejects.toMatchObject(UNREACHABLE);
      expect(reasons).toEqual([expect.stringMatching(/^GetObject: /)]);
    });
  });

  it('that goes away is no answer that there are no files', async () => {
    await withStore(async (store) => {
      await store.put(ONE, NAME, bytes);
      await server.close();
      const all = [...Object.values(ASKED), (it: S3Store) => it.writtenAt(ONE, NAME), (it: S3Store) => it.sweep()];
      for (const ask of all) await expect(ask(store)).rejects.toMatchObject(UNREACHABLE);
      for (const reason of reasons) expect(reason).toMatch(/ECONNREFUSED/);
      expect(reasons).toHaveLength(all.length);
    });
    server = await s3Server();
  });

  it('that refuses one of many deletions is no answer that all is gone', async () => {
    await withStore(async (store) => {
      for (const digit of 'abc') await store.put(ONE, digit.repeat(64), bytes);
      server.fail('cut', 'DeleteObjects');
      await expect(store.removeTenant(ONE)).rejects.toMatchObject(UNREACHABLE);
      expect(reasons).toEqual(['DeleteObjects: SlowDown Later.']);
      server.mend();
      await store.removeTenant(ONE);
      expect(server.keys()).toEqual([]);
    });
  });
});

it('says nothing to the log of files that are not there', async () => {
  await withStore(async (store) => {
    await expect(store.get(ONE, NAME)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await store.writtenAt(ONE, NAME)).toBeNull();
    await store.remove(ONE, NAME);
  });
  expect(reasons).toEqual([]);
});

it('does not send again what is there', async () => {
  await withStore(async (store) => {
    await store.put(ONE, NAME, bytes);
    const { PutObject } = server.counts();
    await store.put(ONE, NAME, bytes);
    expect(server.counts()['PutObject']).toBe(PutObject);
  });
});

it("lists and deletes nothing of keys that only begin like a tenant's, nor takes what is none for a file", async () => {
  const strangers = [
    `pictures/${ONE}`,
    `pictures/${ONE}-2/aa/${NAME}`,
    `pictures/${ONE}0/aa/${NAME}`,
    `pictures/${ONE.toUpperCase().replace(/\d/g, 'A')}/aa/${NAME}`,
    `pictures2/${ONE}/aa/${NAME}`,
    `models/${ONE}/aa/${NAME}`,
    `${ONE}/aa/${NAME}`,
  ].sort();
  for (const key of [...strangers, `pictures/${ONE}/aa/readme.txt`, `pictures/${ONE}/aa/`]) server.write(key);
  await withStore(async (store) => {
    await store.put(ONE, NAME, bytes);
    const names: string[] = [];
    for await (const name of store.list(ONE)) names.push(name);
    expect(names).toEqual([NAME]);
    expect(await store.listFolder(ONE, NAME[0]!)).toEqual([NAME]);
    expect(await store.listFolder(ONE, 'a')).toEqual([]);
    expect(await store.tenants()).toEqual([ONE]);
    await store.removeTenant(ONE);
  });
  expect(server.keys()).toEqual(strangers);
});

it('checks once for all who ask, and anew after it failed', async () => {
  await withStore(async (store) => {
    const made = () => server.counts()['PutObject'];
    const before = made()!;
    server.fail('denied', 'PutObject');
    const refused = Array.from({ length: 5 }, () => store.checkWritable());
    for (const check of refused) await expect(check).rejects.toMatchObject(UNREACHABLE);
    expect(made()).toBe(before + 1);
    server.mend();
    for (let i = 0; i < 5; i++) await store.checkWritable();
    expect(made()).toBe(before + 2);
  });
  expect(server.keys()).toEqual([]);
});

it('sweeps what a check left whose process died, and no check that is under way', async () => {
  const old = 2 * 60 * 60 * 1000;
  const left = Array.from({ length: 5 }, (_, i) => `pictures/check-${i}`);
  const files = ['models/check-of-others', `pictures/${ONE}/aa/${NAME}`];
  for (const key of [...left, ...files]) server.write(key, old);
  server.write('pictures/check-now');
  await withStore((store) => store.sweep());
  expect(server.keys()).toEqual([...files, 'pictures/check-now'].sort());
});
