/** Pictures in by POST /images and out by signed addresses: what is taken, what is refused, and in which words. */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { json } from 'node:stream/consumers';
import sharp from 'sharp';
import { withTenant } from '../../src/database/client.ts';
import type { PictureSize } from '../../src/domain/pictureLinks.ts';
import { Quotas } from '../../src/domain/quotas.ts';
import { picture, type TestService, type TestTenant, testService } from './service.ts';

let service: TestService;
let tenant: TestTenant;
let red: Buffer;

beforeAll(async () => {
  service = await testService();
  tenant = await service.tenant();
  red = await picture('#ff0000', 1600, 600);
});
afterAll(() => service.close());

interface Answer {
  status: number;
  body: { id?: string; error?: { code: string; message: string; field?: string } };
}

async function post(body: Uint8Array | FormData | string, type?: string, key = tenant.serviceKey): Promise<Answer> {
  const headers: Record<string, string> = { authorization: `Bearer ${key}` };
  if (type) headers['content-type'] = type;
  const response = await fetch(`${service.url}/images`, {
    method: 'POST',
    headers,
    body: body as NonNullable<RequestInit['body']>,
  });
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}

function form(fields: Record<string, string>, file: Uint8Array | null = red, name = 'file'): FormData {
  const data = new FormData();
  for (const [field, value] of Object.entries(fields)) data.set(field, value);
  if (file) data.set(name, new Blob([Uint8Array.from(file)]), 'picture.png');
  return data;
}

const describeImage = async (id: string) => {
  const { data } = await tenant.ask(
    `query ($id: ID!) {
      image(by: { id: $id }) {
        externalId prompt generator collection owner { externalId } width height sha256 status statusReason
      }
    }`,
    { id },
  );
  return data.image;
};

describe('POST /images', () => {
  it('takes raw bytes, 201, and answers the same id for the same bytes, 200', async () => {
    const first = await post(red, 'image/png');
    expect(first).toEqual({ status: 201, body: { id: expect.any(String) } });
    expect(await post(red, 'application/octet-stream')).toEqual({ status: 200, body: first.body });
    expect(await describeImage(first.body.id!)).toMatchObject({
      width: 1600,
      height: 600,
      status: 'PENDING',
      prompt: null,
    });
  });

  it.each(['jpeg', 'png', 'webp', 'avif'] as const)(
    'reads the type of a %s from its bytes, whatever it is called',
    async (format) => {
      const bytes = await sharp(red).resize(64).toFormat(format).toBuffer();
      expect((await post(bytes, 'image/gif')).status).toBe(201);
    },
  );

  it('takes a form with all that is to be said of the picture', async () => {
    await tenant.people('ada');
    const fields = {
      prompt: 'a red field',
      externalId: 'red-1',
      generator: 'brush',
      collection: 'fields',
      owner: 'ada',
    };
    const { status, body } = await post(form(fields));
    expect(status).toBe(201);
    expect(await describeImage(body.id!)).toMatchObject({ ...fields, owner: { externalId: 'ada' } });
  });

  it('keeps the picture of an owner apart from the same picture of nobody', async () => {
    const own = await post(form({ owner: 'ada' }));
    const nobodys = await post(red, 'image/png');
    expect(own.body.id).not.toBe(nobodys.body.id);
  });

  it('has everything on the disk when it answers', async () => {
    const { body } = await post(await picture('#123456'), 'image/png');
    const { sha256 } = await describeImage(body.id!);
    const stored = await service.platform.pictures.get(tenant.id, sha256);
    expect(stored).toEqual(await picture('#123456'));
    const jobs = await tenant.run(
      () => service.test.database.$queryRaw<unknown[]>`SELECT 1 FROM pgboss.job WHERE data->>'tenantId' = ${tenant.id}`,
    );
    expect(jobs.length).toBeGreaterThan(0);
  });

  it.each<[string, () => Promise<Answer>, number, object]>([
    [
      'no picture',
      () => post('hello, this is text', 'image/png'),
      415,
      {
        code: 'UNSUPPORTED_MEDIA_TYPE',
        message: expect.stringContaining('JPEG, PNG, WebP and AVIF pictures are taken'),
      },
    ],
    [
      'a picture cut short',
      () => post(red.subarray(0, red.length / 2), 'image/png'),
      400,
      { code: 'INVALID', message: expect.stringContaining('damaged or cut short') },
    ],
    [
      'an empty body',
      () => post('', 'image/png'),
      400,
      { code: 'INVALID', message: 'file is empty: send the bytes of a picture.' },
    ],
    [
      'a file that is too large, raw',
      () => post(Buffer.alloc(200_001), 'image/png'),
      413,
      { code: 'TOO_LARGE', message: 'file is larger than 200000 bytes, the most that is taken.' },
    ],
    [
      'a file that is too large, in a form',
      () => post(form({}, Buffer.alloc(200_001))),
      413,
      { code: 'TOO_LARGE', message: 'file is larger than 200000 bytes, the most that is taken.' },
    ],
    [
      'a decompression bomb',
      async () => post(await picture('#000', 5000, 5000), 'image/png'),
      413,
      { code: 'TOO_LARGE', message: 'file has 5,000 × 5,000 pixels; at most 1,000,000 in all are taken.' },
    ],
    [
      'another content type',
      () => post('{}', 'application/json'),
      415,
      { code: 'UNSUPPORTED_MEDIA_TYPE', message: expect.stringContaining('multipart form with the field file') },
    ],
    [
      'a form without a file',
      () => post(form({ prompt: 'none' }, null)),
      400,
      { code: 'INVALID', field: 'file', message: 'The form has no field file: send the picture in it.' },
    ],
    [
      'a form with a field that is none',
      () => post(form({ colour: 'red' })),
      400,
      {
        code: 'INVALID',
        field: 'colour',
        message: 'The form has no field colour; it has file, prompt, externalId, generator, collection, owner.',
      },
    ],
    [
      'a prompt that is too long',
      () => post(form({ prompt: 'x'.repeat(2001) })),
      413,
      { code: 'TOO_LARGE', field: 'prompt', message: 'prompt has 2001 characters; at most 2000 are kept.' },
    ],
    [
      'a form with more than one file',
      () => {
        const data = form({});
        data.append('file', new Blob([Uint8Array.from(red)]), 'second.png');
        return post(data);
      },
      400,
      {
        code: 'INVALID',
        field: 'file',
        message: 'The form has more than one file: send one picture a request.',
      },
    ],
    [
      'a file that came as text',
      () => post(form({ file: 'bytes' }, null)),
      400,
      {
        code: 'INVALID',
        field: 'file',
        message: 'file came as text: send it as a file, with a filename, such as curl -F file=@fox.jpg.',
      },
    ],
    [
      'a prompt that came as a file',
      () => post(form({}, red, 'prompt')),
      400,
      {
        code: 'INVALID',
        field: 'prompt',
        message: 'prompt must be plain text: send it without a filename and a content type.',
      },
    ],
    [
      'a field that stands twice',
      () => {
        const data = form({ prompt: 'one' });
        data.append('prompt', 'two');
        return post(data);
      },
      400,
      { code: 'INVALID', field: 'prompt', message: 'prompt stands in the form more than once.' },
    ],
    [
      'a form that is cut short',
      () =>
        post(
          '--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n',
          'multipart/form-data; boundary=x',
        ),
      400,
      { code: 'INVALID', message: expect.stringMatching(/^The form cannot be read, damaged or cut short: .+\.$/) },
    ],
    [
      'an owner that is nobody',
      () => post(form({ owner: 'nobody' })),
      404,
      { code: 'NOT_FOUND', field: 'owner', message: 'There is no user as owner names one.' },
    ],
  ])('refuses %s', async (_, send, status, error) => {
    expect(await send()).toEqual({ status, body: { error: { ...(error as object), requestId: expect.any(String) } } });
  });

  it('refuses, at no cost and unread, a picture of a tenant of which as many wait to be encoded as may', async () => {
    const crowded = await service.tenant();
    const { quotas } = service.platform;
    Object.assign(service.platform, { quotas: new Quotas(1) });
    const send = async (colour: string, { serviceKey } = crowded) =>
      fetch(`${service.url}/images`, {
        method: 'POST',
        headers: { authorization: `Bearer ${serviceKey}`, 'content-type': 'image/png' },
        body: Uint8Array.from(await picture(colour)),
      });
    const remaining = ({ headers }: Response) => headers.get('ratelimit-remaining');
    try {
      expect((await send('#000001')).status).toBe(201);
      let [stored, unread] = [await send('#000002'), await send('#000003')];
      // Unread within a second only, and of the same minute: where this machine was slower, once more.
      for (let again = 0; again < 5 && remaining(unread) !== remaining(stored); again++) {
        [stored, unread] = [await send('#000002'), await send('#000003')];
      }
      for (const refused of [stored, unread]) {
        expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
        expect(await refused.json()).toMatchObject({
          error: {
            code: 'OVERLOADED',
            message: '1 images of this tenant wait to be encoded, as many as may: ask again in a moment.',
          },
        });
      }
      expect(remaining(unread)).toBe(remaining(stored));
      expect((await send('#000001', await service.tenant())).status).toBe(201);
    } finally {
      Object.assign(service.platform, { quotas });
    }
  });

  it('refuses a body that says to be far larger than any picture before any of it is sent', async () => {
    const upload = request(`${service.url}/images`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${tenant.serviceKey}`,
        'content-type': 'multipart/form-data; boundary=x',
        'content-length': 1_000_000_000,
      },
    });
    upload.on('error', () => {}); // it is closed in the end
    upload.flushHeaders();
    const [response] = (await once(upload, 'response')) as [IncomingMessage];
    expect([response.statusCode, await json(response)]).toEqual([
      413,
      {
        error: {
          code: 'TOO_LARGE',
          message: 'file is larger than 200000 bytes, the most that is taken.',
          requestId: expect.any(String),
        },
      },
    ]);
    upload.destroy();
  });

  it('refuses an externalId of another picture', async () => {
    await post(form({ externalId: 'taken' }, await picture('#111111')));
    expect(await post(form({ externalId: 'taken' }, await picture('#222222')))).toEqual({
      status: 409,
      body: {
        error: {
          code: 'CONFLICT',
          field: 'externalId',
          message: 'externalId "taken" is that of another image.',
          requestId: expect.any(String),
        },
      },
    });
  });
});

describe('Image.url', () => {
  let id: string;
  beforeAll(async () => {
    id = (await post(red, 'image/png')).body.id!;
  });
  const url = async (maxSize: number | null) => {
    const query = 'query ($id: ID!, $maxSize: Int) { image(by: { id: $id }) { url(maxSize: $maxSize) } }';
    return tenant.ask(query, { id, maxSize });
  };

  it('gives the stored bytes to who holds it, and no credential', async () => {
    const { data } = await url(null);
    const response = await fetch(data.image.url);
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'image/png',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; sandbox",
      'cache-control': expect.stringMatching(/^private, max-age=\d+, immutable$/),
    });
    expect(Buffer.from(await response.arrayBuffer())).toEqual(red);
  });

  it.each<PictureSize>([256, 512, 1024])('gives it with a longer side of %d pixels', async (size) => {
    const { data } = await url(size);
    const bytes = Buffer.from(await (await fetch(data.image.url)).arrayBuffer());
    expect(await sharp(bytes).metadata()).toMatchObject({ format: 'webp', width: size, height: (size * 600) / 1600 });
  });

  it('is of no other size', async () => {
    const { errors } = await url(300);
    expect(errors).toMatchObject([
      { message: 'maxSize 300 is not one of 256, 512, 1024.', extensions: { code: 'BAD_USER_INPUT' } },
    ]);
  });

  it('is good for an hour and not for two', async () => {
    const { data } = await url(256);
    const start = service.test.time;
    const status = async (minutes: number) => {
      service.test.time = new Date(start.getTime() + minutes * 60_000);
      const response = await fetch(data.image.url);
      await response.arrayBuffer();
      service.test.time = start;
      return response.status;
    };
    expect([await status(59), await status(71)]).toEqual([200, 404]);
  });

  it('gives nothing where any part of it was changed', async () => {
    const address = new URL((await url(256)).data.image.url);
    const other = await service.tenant();
    const changes: ((url: URL) => void)[] = [
      (url) => url.searchParams.set('size', '512'),
      (url) => url.searchParams.delete('size'),
      (url) => url.searchParams.set('expires', String(Number(url.searchParams.get('expires')) + 1)),
      (url) => url.searchParams.set('signature', 'x'.repeat(43)),
      (url) => url.searchParams.delete('signature'),
      (url) => url.searchParams.append('signature', 'again'),
      (url) => {
        url.pathname = url.pathname.replace(tenant.id, other.id);
      },
    ];
    for (const change of changes) {
      const changed = new URL(address);
      change(changed);
      const response = await fetch(changed);
      expect(response.status).toBe(404);
      expect(await response.json()).toEqual({
        error: {
          code: 'NOT_FOUND',
          message: 'This picture address is not valid or has expired: ask Image.url for a new one.',
          requestId: expect.any(String),
        },
      });
    }
  });

  it('is in no line of the log', async () => {
    await fetch((await url(256)).data.image.url);
    const lines = service.logLines().join('');
    expect(lines).toContain('/pictures/');
    expect(lines).not.toContain('signature');
  });

  it('is NOT_FOUND once the image is gone', async () => {
    const gone = (await post(await picture('#abcdef'), 'image/png')).body.id!;
    const { data } = await tenant.ask('query ($id: ID!) { image(by: { id: $id }) { url } }', { id: gone });
    await withTenant(tenant.id, async () => {
      const image = await service.test.database.image.findFirstOrThrow({ orderBy: { id: 'desc' } });
      await service.test.database.image.deleteMany({ where: { id: image.id } });
    });
    expect((await fetch(data.image.url)).status).toBe(404);
  });
});
