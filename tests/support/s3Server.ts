/**
 * An S3 server in memory, over HTTP: one bucket, the operations that a store needs, pages of a few keys. It verifies
 * every request's signature and its body's hash, as servers do, and fails when a test tells it to.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { BucketOptions } from '../../src/files/s3Bucket.ts';

export const S3_KEY = { accessKeyId: 'AKIATESTTESTTEST', secretAccessKey: 'a-secret-that-no-message-may-show' };
const REGION = 'eu-test-1';
const BUCKET = 'palate-test';
/** Keys of one page: 1,000 elsewhere. */
const PAGE = 3;

/**
 * An error of the server's own, an answer that never comes, one that breaks off in the middle (of many deletions one is
 * refused then), or a refusal of what the key may not do.
 */
type Fault = 'error' | 'silence' | 'cut' | 'denied';

export interface S3Server {
  /** What reaches it, with the key that may. */
  readonly options: BucketOptions;
  /** The same as variables of the environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** Every key there is, in order. */
  keys(): string[];
  /** Puts an object there that is so old. */
  write(key: string, ageMs?: number): void;
  /** How many requests of each operation it has had. */
  counts(): Readonly<Record<string, number>>;
  /** Lets requests of this operation, or all, fail from now on: so many, or until {@link mend}. */
  fail(fault: Fault, operation?: string | null, times?: number): void;
  mend(): void;
  /** Has the bucket keep old versions. */
  keepVersions(): void;
  close(): Promise<void>;
}

interface StoredObject {
  readonly bytes: Buffer;
  readonly writtenAt: Date;
}

class S3Error extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export async function s3Server(): Promise<S3Server> {
  const objects = new Map<string, StoredObject>();
  const counts: Record<string, number> = {};
  let versioning = '';
  let failing: { fault: Fault; operation: string | null; times: number } | null = null;

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      const { status, code, message } =
        error instanceof S3Error ? error : new S3Error(500, 'InternalError', String(error));
      const xml = `<Error><Code>${code}</Code><Message>${message}</Message></Error>`;
      response.writeHead(status, { 'content-type': 'application/xml' }).end(request.method === 'HEAD' ? '' : xml);
    });
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const { pathname, searchParams } = new URL(request.url!, 'http://host');
    const [, bucket = '', key = ''] = /^\/([^/]+)\/?(.*)$/.exec(decodeURIComponent(pathname)) ?? [];
    const operation = operationOf(request.method!, key, searchParams);
    counts[operation] = (counts[operation] ?? 0) + 1;
    const fault = nextFault(operation);
    if (fault === 'silence') return;
    if (fault === 'error') throw new S3Error(500, 'InternalError', 'We encountered an internal error.');
    checkSignature(request, body);
    if (bucket !== BUCKET) throw new S3Error(404, 'NoSuchBucket', 'The specified bucket does not exist');
    if (fault === 'denied') throw new S3Error(403, 'AccessDenied', 'Access Denied');
    OPERATIONS[operation]!({ key, query: searchParams, body, request }, response, fault === 'cut');
  }

  function nextFault(operation: string): Fault | null {
    if (!failing || failing.times === 0 || (failing.operation !== null && failing.operation !== operation)) return null;
    failing.times--;
    return failing.fault;
  }

  const found = (key: string): StoredObject => {
    const object = objects.get(key);
    if (object) return object;
    throw new S3Error(404, 'NoSuchKey', 'The specified key does not exist.');
  };

  const OPERATIONS: Readonly<
    Record<
      string,
      (
        asked: { key: string; query: URLSearchParams; body: Buffer; request: IncomingMessage },
        response: ServerResponse,
        cut: boolean,
      ) => void
    >
  > = {
    PutObject({ key, body }, response) {
      objects.set(key, { bytes: body, writtenAt: new Date() });
      response.writeHead(200, { etag: `"${createHash('md5').update(body).digest('hex')}"` }).end();
    },
    GetObject({ key }, response, cut) {
      const { bytes, writtenAt } = found(key);
      response.writeHead(200, { 'content-length': bytes.length, 'last-modified': writtenAt.toUTCString() });
      if (!cut) response.end(bytes);
      else response.write(bytes.subarray(0, bytes.length / 2), () => response.destroy());
    },
    HeadObject({ key }, response) {
      const { bytes, writtenAt } = found(key);
      response.writeHead(200, { 'content-length': bytes.length, 'last-modified': writtenAt.toUTCString() }).end();
    },
    DeleteObject({ key }, response) {
      objects.delete(key);
      response.writeHead(204).end();
    },
    DeleteObjects({ body, request }, response, cut) {
      const sums = Object.keys(request.headers).filter((name) => /^(content-md5|x-amz-checksum-.*)$/.test(name));
      if (sums.length === 0) throw new S3Error(400, 'InvalidRequest', 'Missing required header: Content-MD5');
      const keys = [...body.toString().matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key]) => key!);
      if (keys.length === 0 || keys.length > 1000) throw new S3Error(400, 'MalformedXML', 'Not so many keys.');
      const [kept, deleted] = cut ? [keys.slice(0, 1), keys.slice(1)] : [[], keys];
      for (const key of deleted) objects.delete(key);
      const errors = kept.map(
        (key) => `<Error><Key>${key}</Key><Code>SlowDown</Code><Message>Later.</Message></Error>`,
      );
      response.writeHead(200, { 'content-type': 'application/xml' });
      response.end(`<DeleteResult>${errors.join('')}</DeleteResult>`);
    },
    GetBucketVersioning(_, response) {
      response.writeHead(200, { 'content-type': 'application/xml' });
      response.end(`<VersioningConfiguration>${versioning}</VersioningConfiguration>`);
    },
    ListObjectsV2({ query }, response) {
      response.writeHead(200, { 'content-type': 'application/xml' }).end(listing([...objects.keys()].sort(), query));
    },
  };

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    options: { bucket: BUCKET, endpoint, region: REGION, credentials: S3_KEY, pathStyle: true },
    environment: {
      PALATE_S3_BUCKET: BUCKET,
      PALATE_S3_ENDPOINT: endpoint,
      PALATE_S3_REGION: REGION,
      PALATE_S3_ACCESS_KEY_ID: S3_KEY.accessKeyId,
      PALATE_S3_SECRET_ACCESS_KEY: S3_KEY.secretAccessKey,
    },
    keys: () => [...objects.keys()].sort(),
    write: (key, ageMs = 0) =>
      void objects.set(key, { bytes: Buffer.from(key), writtenAt: new Date(Date.now() - ageMs) }),
    counts: () => ({ ...counts }),
    fail(fault, operation = null, times = Number.POSITIVE_INFINITY) {
      failing = { fault, operation, times };
    },
    mend() {
      failing = null;
    },
    keepVersions() {
      versioning = '<Status>Enabled</Status>';
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function operationOf(method: string, key: string, query: URLSearchParams): string {
  if (key === '') {
    if (query.has('versioning')) return 'GetBucketVersioning';
    return method === 'POST' && query.has('delete') ? 'DeleteObjects' : 'ListObjectsV2';
  }
  return `${{ PUT: 'Put', GET: 'Get', HEAD: 'Head', DELETE: 'Delete' }[method]}Object`;
}

/** One page of keys and of what they have before the delimiter, after the token's. */
function listing(keys: readonly string[], query: URLSearchParams): string {
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter');
  const after = Buffer.from(query.get('continuation-token') ?? '', 'base64').toString();
  const entries = new Set(
    keys
      .filter((key) => key.startsWith(prefix))
      .map((key) => {
        const end = delimiter === null ? -1 : key.indexOf(delimiter, prefix.length);
        return end === -1 ? key : key.slice(0, end + 1);
      }),
  );
  const left = [...entries].filter((entry) => entry > after);
  const page = left.slice(0, PAGE);
  const isFolder = (entry: string) => delimiter !== null && entry.endsWith(delimiter);
  const token = Buffer.from(page.at(-1) ?? '').toString('base64');
  return [
    '<ListBucketResult>',
    left.length > PAGE
      ? `<IsTruncated>true</IsTruncated><NextContinuationToken>${token}</NextContinuationToken>`
      : '<IsTruncated>false</IsTruncated>',
    ...page.map((entry) =>
      isFolder(entry)
        ? `<CommonPrefixes><Prefix>${entry}</Prefix></CommonPrefixes>`
        : `<Contents><Key>${entry}</Key><Size>1</Size></Contents>`,
    ),
    '</ListBucketResult>',
  ].join('');
}

const sha256 = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');
const hmac = (key: Buffer | string, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/** Signature version 4, as AWS specifies it. */
function checkSignature({ method, url, headers }: IncomingMessage, body: Buffer): void {
  const parts =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/;
  const [, keyId, day, region, signedHeaders, signature] = parts.exec(headers.authorization ?? '') ?? [];
  if (!keyId || !signature) throw new S3Error(403, 'AccessDenied', 'Access Denied');
  if (keyId !== S3_KEY.accessKeyId) {
    throw new S3Error(403, 'InvalidAccessKeyId', 'The AWS Access Key Id you provided does not exist in our records.');
  }
  if (region !== REGION) {
    throw new S3Error(400, 'AuthorizationHeaderMalformed', `the region '${region}' is wrong; expecting '${REGION}'`);
  }
  const hash = String(headers['x-amz-content-sha256']);
  if (hash !== sha256(body)) throw new S3Error(400, 'XAmzContentSHA256Mismatch', 'The body is another.');
  const [path, query = ''] = url!.split('?');
  const parameters = query === '' ? [] : query.split('&').map((pair) => (pair.includes('=') ? pair : `${pair}=`));
  const names = signedHeaders!.split(';');
  for (const name of ['host', 'x-amz-content-sha256', 'x-amz-date']) {
    if (!names.includes(name)) throw new S3Error(403, 'AccessDenied', `${name} must be signed.`);
  }
  const canonical = [
    ...[method, path, parameters.sort().join('&')],
    ...names.map((name) => `${name}:${String(headers[name]).trim()}`),
    ...['', signedHeaders, hash],
  ].join('\n');
  const scope = `${day}/${region}/s3/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, sha256(canonical)].join('\n');
  const key = [day!, region, 's3', 'aws4_request'].reduce<Buffer | string>(
    (last, part) => hmac(last, part),
    `AWS4${S3_KEY.secretAccessKey}`,
  );
  if (!timingSafeEqual(hmac(key, text), Buffer.from(signature, 'hex'))) {
    throw new S3Error(403, 'SignatureDoesNotMatch', 'The request signature we calculated does not match.');
  }
}
