/**
 * Signed picture addresses: who holds one may fetch that picture, in that size, until it expires, without a
 * credential. It knows no HTTP server and no database.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { PalateError } from '../errors.ts';

/** Longer sides, in pixels, that a picture can be asked for in. */
export const PICTURE_SIZES = [256, 512, 1024] as const;
export type PictureSize = (typeof PICTURE_SIZES)[number];

/** Every address is good for at least this long (schema: "good for an hour"). */
const LIFETIME_SECONDS = 3600;
/** Expiry is rounded up to this grid, so that an address stays the same, and cached, for a while. */
const GRID_SECONDS = 600;

/** What a link points at: one stored picture of one tenant, as stored (size null) or resized. */
export interface PictureLink {
  tenantId: string;
  imageId: string;
  size: PictureSize | null;
}

/** Checks `Image.url(maxSize)`. Throws BAD_USER_INPUT for any other size. */
export function parsePictureSize(size: number | null | undefined): PictureSize | null {
  if (size === null || size === undefined) return null;
  const known = PICTURE_SIZES.find((each) => each === size);
  if (known) return known;
  throw new PalateError('BAD_USER_INPUT', `maxSize ${size} is not one of ${PICTURE_SIZES.join(', ')}.`);
}

/** Makes and checks picture addresses with one key; replicas that share the key accept each other's. */
export class PictureLinks {
  readonly #key: string;
  readonly #publicUrl: () => string;

  /** @param publicUrl where clients reach the service, without a trailing slash; asked for each link, as the port may be chosen late. */
  constructor(key: string, publicUrl: () => string) {
    this.#key = key;
    this.#publicUrl = publicUrl;
  }

  /** The absolute address, good for an hour at least and ten minutes more at most. */
  sign(link: PictureLink, now: Date): string {
    const seconds = now.getTime() / 1000;
    const expires = Math.ceil(seconds / GRID_SECONDS) * GRID_SECONDS + LIFETIME_SECONDS;
    const query = new URLSearchParams({ expires: String(expires), signature: this.#signature(link, expires) });
    if (link.size !== null) query.set('size', String(link.size));
    return `${this.#publicUrl()}/pictures/${link.tenantId}/${link.imageId}?${query}`;
  }

  /**
   * Checks what an address carries, in constant time. Returns the seconds that it is still good for.
   * Throws NOT_FOUND for a wrong signature and an expired one alike.
   */
  verify(link: PictureLink, expires: number, signature: string, now: Date): number {
    const expected = Buffer.from(this.#signature(link, expires));
    const given = Buffer.from(signature);
    const left = expires - Math.floor(now.getTime() / 1000);
    const genuine = expected.length === given.length && timingSafeEqual(expected, given);
    if (!genuine || !(left > 0)) {
      throw new PalateError(
        'NOT_FOUND',
        'This picture address is not valid or has expired: ask Image.url for a new one.',
      );
    }
    return left;
  }

  #signature({ tenantId, imageId, size }: PictureLink, expires: number): string {
    return createHmac('sha256', this.#key)
      .update(`picture\n${tenantId}\n${imageId}\n${size ?? 'stored'}\n${expires}`)
      .digest('base64url');
  }
}
