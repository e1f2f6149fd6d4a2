/**
 * Where the files of one training lie, on the machine that trains: training/<tenant>/<job> under the data folder. An
 * attempt writes under names of its own, so that one that has lost the job and does not know it yet spoils nothing; what
 * an earlier attempt finished is gone on with.
 */
import { copyFile, mkdir, readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export class TrainingFolder {
  readonly path: string;
  readonly #attempt: number;

  private constructor(path: string, attempt: number) {
    this.path = path;
    this.#attempt = attempt;
  }

  static async open(root: string, tenantId: string, job: { id: string; attempt: number }): Promise<TrainingFolder> {
    const path = join(root, tenantId, job.id);
    await mkdir(path, { recursive: true });
    return new TrainingFolder(path, job.attempt);
  }

  /** The finished snapshot, of whichever attempt. */
  get snapshot(): string {
    return join(this.path, 'snapshot');
  }
  get snapshotInWork(): string {
    return this.#own('snapshot');
  }
  get parent(): string {
    return this.#own('parent');
  }
  get checkpoint(): string {
    return this.#own('checkpoint');
  }
  get result(): string {
    return this.#own('result');
  }

  #own(name: string): string {
    return join(this.path, `${name}.${this.#attempt}`);
  }

  /** A whole snapshot takes its place; a folder is renamed at once or not at all. */
  async finishSnapshot(): Promise<void> {
    await rm(this.snapshot, { recursive: true, force: true });
    await rename(this.snapshotInWork, this.snapshot);
  }

  async hasSnapshot(): Promise<boolean> {
    return (await stat(this.snapshot).catch(() => null)) !== null;
  }

  /** Lets this attempt go on from where the one before came to. */
  async takeOverCheckpoint(): Promise<void> {
    const attempts = (await readdir(this.path))
      .flatMap((name) => /^checkpoint\.(\d+)$/.exec(name)?.[1] ?? [])
      .map(Number);
    const newest = Math.max(...attempts.filter((attempt) => attempt <= this.#attempt));
    if (!Number.isFinite(newest) || newest === this.#attempt) return;
    await copyFile(join(this.path, `checkpoint.${newest}`), `${this.checkpoint}.copied`);
    await rename(`${this.checkpoint}.copied`, this.checkpoint);
  }

  /** Begins anew: nothing is gone on with. */
  async empty(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
    await mkdir(this.path, { recursive: true });
  }

  /** With the tenant's folder, where nothing else is in it. */
  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
    await rmdir(dirname(this.path)).catch(() => {});
  }
}

/**
 * Removes the folders of trainings that have ended.
 * @param hasEnded in which of these jobs of a tenant nobody works any more
 */
export async function sweepFolders(
  root: string,
  hasEnded: (tenantId: string, jobIds: readonly string[]) => Promise<readonly string[]>,
): Promise<void> {
  for (const tenantId of await namesIn(root)) {
    const jobs = await namesIn(join(root, tenantId));
    for (const jobId of await hasEnded(tenantId, jobs)) {
      await rm(join(root, tenantId, jobId), { recursive: true, force: true });
    }
    await rmdir(join(root, tenantId)).catch(() => {}); // something is in it
  }
}

/** Ids alone: what else lies there was put there by somebody else. */
async function namesIn(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names.filter((name) => UUID.test(name));
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
