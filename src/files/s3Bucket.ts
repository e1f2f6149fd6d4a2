/**
 * A bucket of an S3-compatible server: objects by key, with everything that can go wrong in one of two shapes, an object
 * that is not there and a bucket that cannot be used now. Waits and attempts are bounded. It uses what every such server
 * has, and no more: no conditional writes, no multipart uploads, no checksums beside the signature's. Knows no tenants.
 */
import { randomUUID } from 'node:crypto';
import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { describeFailure, isMissing, unusableBucket } from './s3Failures.ts';
import { StoreUnreachable } from './store.ts';

export interface BucketOptions {
  readonly bucket: string;
  /** The server's address; null for that of AWS in the region. */
  readonly endpoint: string | null;
  readonly region: string;
  /** Null for those that the environment has, as AWS's own programs find them. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string } | null;
  /** Whether the bucket stands in the path of an address, or before its host. */
  readonly pathStyle: boolean;
  /** How long a connection may say nothing. */
  readonly idleMs?: number;
}

/** As much of a logger as this needs. */
export interface BucketLog {
  warn(details: { readonly bucket: string; readonly reason: string }, message: string): void;
}

const CONNECT_MS = 3_000;
/** With {@link ATTEMPTS}, a server that says nothing is given up before a request's own time is over. */
const IDLE_MS = 8_000;
const ATTEMPTS = 3;

const SILENT: BucketLog = { warn() {} };

export class S3Bucket {
  readonly #client: S3Client;
  readonly #name: string;
  readonly #log: BucketLog;

  private constructor(client: S3Client, name: string, log: BucketLog) {
    this.#client = client;
    this.#name = name;
    this.#log = log;
  }

  /**
   * Throws NOT_READY, with what to do, where the bucket cannot be reached, or objects below the prefix cannot be written,
   * read, listed or deleted.
   */
  static async open(options: BucketOptions, prefix: string, log: BucketLog): Promise<S3Bucket> {
    const client = clientOf(options);
    try {
      await new S3Bucket(client, options.bucket, SILENT).#tryAll(`${prefix}check-${randomUUID()}`);
      const bucket = new S3Bucket(client, options.bucket, log);
      await bucket.#warnOfVersions();
      return bucket;
    } catch (error) {
      client.destroy();
      throw error;
    }
  }

  /** Lets go of the connections. */
  close(): void {
    this.#client.destroy();
  }

  /** Keeps an object, whole or not at all, in place of another of the same key. */
  async put(key: string, bytes: Uint8Array): Promise<void> {
    const command = new PutObjectCommand({ ...this.#at(key), Body: bytes, ContentLength: bytes.length });
    await this.#do('PutObject', () => this.#client.send(command));
  }

  /** An object's bytes; null where there is none. */
  get(key: string): Promise<Buffer | null> {
    return this.#find('GetObject', async () => {
      for (let attempt = 1; ; attempt++) {
        const { Body } = await this.#client.send(new GetObjectCommand(this.#at(key)));
        try {
          const { buffer, byteOffset, length } = await Body!.transformToByteArray();
          return Buffer.from(buffer, byteOffset, length);
        } catch (error) {
          if (attempt === ATTEMPTS) throw error; // the client itself tries again only what fails before the first byte
        }
      }
    });
  }

  /** When an object was written; null where there is none. */
  writtenAt(key: string): Promise<Date | null> {
    return this.#find('HeadObject', async () => {
      const { LastModified } = await this.#client.send(new HeadObjectCommand(this.#at(key)));
      return LastModified ?? null;
    });
  }

  /** Deletes an object, if there is one. */
  async remove(key: string): Promise<void> {
    await this.#find('DeleteObject', () => this.#client.send(new DeleteObjectCommand(this.#at(key))));
  }

  /** Deletes every object whose key begins with this. */
  async removeAll(prefix: string): Promise<void> {
    for await (const keys of this.list(prefix)) {
      if (keys.length === 0) continue;
      const command = new DeleteObjectsCommand({
        Bucket: this.#name,
        Delete: { Objects: keys.map((Key) => ({ Key })), Quiet: true },
      });
      await this.#do('DeleteObjects', async () => {
        const { Errors: [first] = [] } = await this.#client.send(command);
        if (first) throw Object.assign(new Error(first.Message), { name: first.Code });
      });
    }
  }

  /** The keys that begin with this, a page of the server's at a time. */
  async *list(prefix: string): AsyncGenerator<string[]> {
    for await (const { Contents = [] } of this.#pages({ Prefix: prefix }))
      yield Contents.flatMap(({ Key }) => Key ?? []);
  }

  /** What stands in keys between this and the next slash. */
  async *folders(prefix: string): AsyncGenerator<string[]> {
    for await (const { CommonPrefixes = [] } of this.#pages({ Prefix: prefix, Delimiter: '/' })) {
      yield CommonPrefixes.flatMap(({ Prefix }) => Prefix?.slice(prefix.length, -1) ?? []);
    }
  }

  async *#pages(of: {
    readonly Prefix: string;
    readonly Delimiter?: string;
  }): AsyncGenerator<ListObjectsV2CommandOutput> {
    let next: string | undefined;
    do {
      const command = new ListObjectsV2Command({
        Bucket: this.#name,
        ...of,
        ...(next ? { ContinuationToken: next } : {}),
      });
      const page = await this.#do('ListObjectsV2', () => this.#client.send(command));
      yield page;
      next = page.NextContinuationToken;
    } while (next);
  }

  /** Does everything once that is ever done to a bucket. */
  async #tryAll(key: string): Promise<void> {
    try {
      await this.put(key, Buffer.from('x'));
      await this.get(key);
      await this.writtenAt(key);
      await this.removeAll(key);
      await this.writtenAt(key); // what is not there may be asked for too
      await this.remove(key);
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
      throw unusableBucket(this.#name, error.operation, error.cause);
    }
  }

  /** A server that has no versions, or a key that may not ask for them, is no reason not to start. */
  async #warnOfVersions(): Promise<void> {
    const command = new GetBucketVersioningCommand({ Bucket: this.#name });
    const { Status } = await this.#client.send(command).catch(() => ({ Status: undefined }));
    if (Status !== 'Enabled') return;
    const reason = 'it keeps old versions of objects, and what is erased lives on in them: turn versioning off';
    this.#log.warn({ bucket: this.#name, reason }, 'the bucket of the stored files should not be used as it is');
  }

  #at(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#name, Key: key };
  }

  /** As `#do`; null where the server says that there is no such object. */
  #find<T>(operation: string, ask: () => Promise<T>): Promise<T | null> {
    return this.#do<T | null>(operation, () =>
      ask().catch((error: unknown) => {
        if (isMissing(error)) return null;
        throw error;
      }),
    );
  }

  async #do<T>(operation: string, ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      const reason = describeFailure(operation, error);
      this.#log.warn({ bucket: this.#name, reason }, 'the bucket of the stored files cannot be used');
      throw new Failed(operation, error);
    }
  }
}

/** What was asked for, beside what came of it. */
class Failed extends StoreUnreachable {
  readonly operation: string;

  constructor(operation: string, cause: unknown) {
    super(cause);
    this.operation = operation;
  }
}

function clientOf({ endpoint, region, credentials, pathStyle, idleMs = IDLE_MS }: BucketOptions): S3Client {
  return new S3Client({
    ...(endpoint === null ? {} : { endpoint }),
    ...(credentials === null ? {} : { credentials }),
    region,
    forcePathStyle: pathStyle,
    maxAttempts: ATTEMPTS,
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      socketTimeout: idleMs,
      // What waits for a connection counts as what cannot have one; how many there are, others bound.
      httpAgent: { maxSockets: Number.POSITIVE_INFINITY },
      httpsAgent: { maxSockets: Number.POSITIVE_INFINITY },
    },
    // Others than AWS refuse, or do not know, the checksums that are newer than the protocol; the signature has one.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
}
