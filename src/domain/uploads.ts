/**
 * Taking in a picture: checked, stored, registered and queued for encoding. When it is acknowledged, its bytes and its
 * row are on the disk.
 */

import { currentTenant } from '../database/client.ts';
import type { Image } from '../database/generated/client.ts';
import { checkPicture } from '../pictures/check.ts';
import { checkDescription, type ImageDescription, registerImage } from './images.ts';
import type { Platform } from './platform.ts';

/**
 * Takes in the bytes of a picture for the tenant of the session. The same bytes of the same owner are the same image,
 * answered as it is. Throws what `checkPicture` and `registerImage` throw.
 */
export async function takePicture(
  platform: Platform,
  bytes: Buffer,
  description: ImageDescription,
): Promise<{ image: Image; created: boolean }> {
  checkDescription(description); // before the bytes are kept
  const { format, width, height, sha256 } = await checkPicture(bytes, platform.pictureLimits);
  await platform.pictures.put(currentTenant(), sha256, bytes);
  return registerImage(platform, { sha256, format, byteLength: bytes.length, width, height }, description);
}
