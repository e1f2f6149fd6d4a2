/**
 * Whether bytes from outside are a picture that can be kept: its type, its size, and that every pixel can be decoded.
 * What is let through here is trusted by the rest of the house. Knows bytes only.
 */
import sharp from 'sharp';
import { PalateError } from '../errors.ts';
import { PICTURE_FORMATS, type PictureFormat, pictureFormat } from './formats.ts';

export interface PictureLimits {
  /** Of the file. */
  readonly maxBytes: number;
  /** Width × height: memory is taken by pixels, whatever the file's size. */
  readonly maxPixels: number;
}

export const DEFAULT_PICTURE_LIMITS: PictureLimits = { maxBytes: 20_000_000, maxPixels: 50_000_000 };

export interface PictureFacts {
  readonly format: PictureFormat;
  /** In pixels, of the first frame, upright. */
  readonly width: number;
  readonly height: number;
  /** Of the bytes, in hexadecimal. */
  readonly sha256: string;
}

const TAKEN = 'JPEG, PNG, WebP and AVIF pictures are taken';

/**
 * Checks a picture and tells its facts. Animated, 16-bit, CMYK and EXIF-rotated pictures pass: what reads them takes
 * the first frame, in sRGB, upright. `field` names the input in the messages.
 *
 * Throws UNSUPPORTED_MEDIA_TYPE for another kind of file, TOO_LARGE beyond a limit, INVALID for what cannot be decoded.
 */
export async function checkPicture(
  bytes: Buffer,
  limits: PictureLimits = DEFAULT_PICTURE_LIMITS,
  field = 'file',
): Promise<PictureFacts> {
  const { maxBytes, maxPixels } = limits;
  if (bytes.length === 0) throw new PalateError('INVALID', `${field} is empty: send the bytes of a picture.`);
  if (bytes.length > maxBytes) {
    throw new PalateError(
      'TOO_LARGE',
      `${field} has ${count(bytes.length)} bytes; at most ${count(maxBytes)} are taken.`,
    );
  }
  const format = pictureFormat(bytes);
  if (!format) {
    const start = bytes.toString('hex', 0, 8);
    throw new PalateError(
      'UNSUPPORTED_MEDIA_TYPE',
      `${field} is none of the pictures taken (it begins ${start}): ${TAKEN}.`,
    );
  }
  const { width, height } = await readHeader(bytes, format, field);
  if (width * height > maxPixels) {
    throw new PalateError(
      'TOO_LARGE',
      `${field} has ${count(width)} × ${count(height)} pixels; at most ${count(maxPixels)} in all are taken.`,
    );
  }
  await decodeAll(bytes, format, field);
  const digest = await crypto.subtle.digest('SHA-256', bytes);
  return { format, width, height, sha256: Buffer.from(digest).toString('hex') };
}

/** Upright size, from the header alone: nothing is decoded before the pixels are counted. */
async function readHeader(bytes: Buffer, format: PictureFormat, field: string) {
  try {
    const { autoOrient } = await sharp(bytes, { limitInputPixels: false }).metadata();
    return autoOrient;
  } catch (cause) {
    throw undecodable(format, field, cause);
  }
}

/** Decodes every pixel, row by row into a thumbnail, so that a file cut short is found now and not by a worker later. */
async function decodeAll(bytes: Buffer, format: PictureFormat, field: string): Promise<void> {
  try {
    await sharp(bytes, { failOn: 'error', limitInputPixels: false, sequentialRead: true })
      .resize(8, 8, { fit: 'fill' })
      .raw()
      .toBuffer();
  } catch (cause) {
    throw undecodable(format, field, cause);
  }
}

function undecodable(format: PictureFormat, field: string, cause: unknown): PalateError {
  const { label } = PICTURE_FORMATS[format];
  const reason = (cause as Error).message.trim().split('\n')[0];
  const message = `${field} begins as a ${label} picture and cannot be decoded, damaged or cut short: ${reason}.`;
  return new PalateError('INVALID', message, { cause });
}

const count = (value: number): string => value.toLocaleString('en-US');
