/**
 * Opens the stores that the settings name: folders of the data folder, or a bucket. What the bucket needs is loaded only
 * where there is one.
 */
import { join } from 'node:path';
import type { Config } from '../config.ts';
import { DiskStore } from './diskStore.ts';
import type { BucketLog } from './s3Bucket.ts';
import type { FileStore } from './store.ts';

/** As much of the settings as says where files lie. */
export type FileSettings = Pick<
  Config,
  | 'dataDirectory'
  | 's3Bucket'
  | 's3Prefix'
  | 's3Endpoint'
  | 's3Region'
  | 's3PathStyle'
  | 's3AccessKeyId'
  | 's3SecretAccessKey'
>;

export interface FileStores {
  readonly pictures: FileStore;
  /** The files of model versions. */
  readonly weights: FileStore;
  close(): void;
}

/**
 * Throws NOT_READY where the bucket cannot be used.
 * @param log told of what a bucket's server says; callers hear only that the files cannot be reached
 */
export async function openFileStores(settings: FileSettings, log: BucketLog): Promise<FileStores> {
  const { dataDirectory, s3Bucket } = settings;
  if (s3Bucket !== null) return openBucket(settings, s3Bucket, log);
  const [pictures, weights] = await Promise.all(
    ['pictures', 'models'].map((folder) => DiskStore.open(join(dataDirectory, folder))),
  );
  return { pictures: pictures!, weights: weights!, close() {} };
}

async function openBucket(settings: FileSettings, name: string, log: BucketLog): Promise<FileStores> {
  const [{ S3Bucket }, { S3Store }] = await Promise.all([import('./s3Bucket.ts'), import('./s3Store.ts')]);
  const { s3Prefix, s3Endpoint, s3Region, s3PathStyle, s3AccessKeyId, s3SecretAccessKey } = settings;
  const prefix = s3Prefix === null ? '' : `${s3Prefix}/`;
  const bucket = await S3Bucket.open(
    {
      bucket: name,
      endpoint: s3Endpoint,
      region: s3Region,
      credentials:
        s3AccessKeyId !== null && s3SecretAccessKey !== null
          ? { accessKeyId: s3AccessKeyId, secretAccessKey: s3SecretAccessKey }
          : null,
      pathStyle: s3PathStyle ?? s3Endpoint !== null, // most servers but AWS have no names of hosts for buckets
    },
    prefix,
    log,
  );
  const [pictures, weights] = [new S3Store(bucket, `${prefix}pictures/`), new S3Store(bucket, `${prefix}models/`)];
  return { pictures, weights, close: () => bucket.close() };
}
