/**
 * Erases stored bytes that no row needs any more, after the transaction that deleted the rows. Doing it twice, or after
 * the same bytes were uploaded anew, erases nothing that is needed (src/domain/storedFiles.ts).
 */
import { eraseFiles, type FilePlatform } from '../domain/storedFiles.ts';

/** Takes up `erase` jobs as they come, until the queue stops. */
export function startErasing(platform: FilePlatform): Promise<void> {
  return platform.queue.work('erase', {}, () => eraseFiles(platform));
}
