/**
 * Taking in a picture: checked, stored, registered and queued for encoding. When it is acknowledged, its bytes and its
 * row are on the disk; when it is refused, its bytes go again.
 */

import { currentTenant } from '../database/client.ts';
import type { Image } from '../database/generated/client.ts';
import { checkPicture } from '../pictures/check.ts';
import { checkDescription, type ImageDescription, registerImage } from './images.ts';
import type { Platform } from './platform.ts';
import { eraseLater } from './storedFiles.ts';
import { readTenant } from './tenants.ts';

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
  const tenantId = currentTenant();
  const put = () => platform.pictures.put(tenantId, sha256, bytes);
  await put(); // outside of the transaction, which then only looks whether it is there still
  try {
    return await registerImage(platform, { sha256, format, byteLength: bytes.length, width, height }, description, put);
  } catch (error) {
    await takeBack(platform, sha256);
    throw error;
  }
}

/** Has bytes erased that no row came to need. Where the tenant has been deleted meanwhile, all of its bytes. */
async function takeBack({ database, queue }: Platform, sha256: string): Promise<void> {
  await database.$transaction(async (transaction) => {
    if (await readTenant(transaction)) await eraseLater(transaction, queue, [sha256]);
    else await queue.send(transaction, 'erase', [{ tenantId: currentTenant() }]);
  });
}
