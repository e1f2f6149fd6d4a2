/** POST /images and the picture addresses: bytes that are no picture, pictures cut short, forms that are none. */
import type { Random } from '../../../src/random.ts';
import { type FuzzTarget, type Generator, type HttpRequest, randomBytes, someKey } from './target.ts';
import { hostileText } from './values.ts';

const MAGICS = [
  '89504e470d0a1a0a',
  'ffd8ffe0',
  '52494646ffffffff57454250',
  '0000001c66747970617669660000',
  '47494638396',
  '25504446',
];

function upload(key: string, contentType: string, body: Buffer): HttpRequest {
  return {
    ...{ via: 'http', method: 'POST', path: '/images', body },
    headers: { authorization: `Bearer ${key}`, 'content-type': contentType },
  };
}

/** The good picture, changed; or a beginning that promises one. */
function damaged(random: Random, { picture }: FuzzTarget): Buffer {
  const draw = random.uniform();
  if (draw < 0.3) return picture.subarray(0, random.int(picture.length));
  if (draw < 0.6) {
    const copy = Buffer.from(picture);
    for (let i = 1 + random.int(50); i > 0; i--) copy[random.int(copy.length)] = random.int(256);
    return copy;
  }
  if (draw < 0.8)
    return Buffer.concat([Buffer.from(random.pick(MAGICS), 'hex'), randomBytes(random, random.int(3_000))]);
  if (draw < 0.85) return svg(random);
  return randomBytes(random, random.pick([0, 1, 11, 12, 5_000]));
}

const svg = (random: Random) =>
  Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${random.pick([1, 1e9])}" height="1"><image href="file:///etc/passwd"/></svg>`,
  );

export const rawPicture: Generator = (random, target) =>
  upload(
    someKey(random, target),
    random.pick(['image/png', 'image/jpeg', 'application/octet-stream', 'image/svg+xml', 'image/*', 'text/plain']),
    damaged(random, target),
  );

const FIELDS = [
  'file',
  'prompt',
  'externalId',
  'generator',
  'collection',
  'owner',
  'other',
  '',
  '__proto__',
  'constructor',
];

/** A form whose parts, boundaries or names are not what they should be. */
export const form: Generator = (random, target) => {
  const boundary = `b${random.int(1e9)}`;
  const parts = Array.from({ length: random.int(8) }, () => {
    const name = random.pick(FIELDS);
    const filename =
      random.uniform() < 0.5 ? `; filename="${random.pick(['a.png', '', '../../a', '\0', 'a"b', '\r\n'])}"` : '';
    const head = random.uniform() < 0.9 ? `Content-Disposition: form-data; name="${name}"${filename}\r\n` : 'X: y\r\n';
    const type =
      random.uniform() < 0.3 ? `Content-Type: ${random.pick(['image/png', 'text/plain; charset=x', '', 'a'])}\r\n` : '';
    const content = random.uniform() < 0.6 ? damaged(random, target) : Buffer.from(hostileText(random));
    return Buffer.concat([Buffer.from(`--${boundary}\r\n${head}${type}\r\n`), content, Buffer.from('\r\n')]);
  });
  const whole = Buffer.concat([...parts, Buffer.from(random.uniform() < 0.7 ? `--${boundary}--\r\n` : '')]);
  const body = random.uniform() < 0.3 ? whole.subarray(0, random.int(whole.length + 1)) : whole;
  const named = random.pick([boundary, boundary, boundary, '', 'x', `"${boundary}`, 'y'.repeat(300)]);
  return upload(someKey(random, target), `multipart/form-data; boundary=${named}`, body);
};

/** A signed address that nobody has signed. */
export const pictureAddress: Generator = (random) => {
  const uuid = () => random.pick(['01890000-0000-7000-8000-000000000000', 'x', '..%2f..', '%00', '%ff', '']);
  const query = random.pick([
    '',
    '?expires=9999999999&signature=AAAA',
    '?expires=NaN&signature=',
    '?size=256&expires=-1&signature=%00',
    '?size[]=1&expires=1&expires=2&signature=a&signature=b',
    `?signature=${'A'.repeat(4_000)}`,
  ]);
  return { via: 'http', method: 'GET', path: `/pictures/${uuid()}/${uuid()}${query}`, headers: {}, body: null };
};
