/**
 * Where the weights of model versions lie: those that a tenant's training made in the tenant's own folder, those that
 * shipped with a release in the installation's, for every tenant that began with them. It knows no network.
 */
import { NO_TENANT } from '../database/client.ts';
import type { Model } from '../database/generated/client.ts';
import { PalateError } from '../errors.ts';
import { type FileStore, StoreUnreachable } from '../files/store.ts';
import { type ModelArtifact, towerHash } from '../model/artifact.ts';
import { packModel, unpackModel } from '../model/artifactFile.ts';
import type { BaseModel } from './tenants.ts';

/** As much of a version's row as names its file: one without a parent is a base model. */
export type ModelFile = Pick<Model, 'tenantId' | 'sha256' | 'parentId'>;

/** Whose folder a version's file lies in. */
export const folderOf = ({ tenantId, parentId }: ModelFile): string => (parentId === null ? NO_TENANT : tenantId);

/**
 * Reads and verifies a version's file. Throws NOT_READY that names the file and what is wrong with it, StoreUnreachable
 * where it may be right and cannot be had now.
 */
export async function readModelFile(files: FileStore, row: ModelFile): Promise<ModelArtifact> {
  try {
    const artifact = unpackModel(await files.get(folderOf(row), row.sha256));
    const actual = artifact.manifest.weights.sha256;
    if (actual === row.sha256) return artifact;
    throw new PalateError('BAD_USER_INPUT', `It holds the weights ${actual}.`);
  } catch (cause) {
    if (cause instanceof StoreUnreachable) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new PalateError('NOT_READY', `The model file ${folderOf(row)}/${row.sha256} cannot be used: ${why}`, {
      cause,
    });
  }
}

/**
 * Keeps what a training made. It takes the place of a file that an earlier attempt left: the caller holds the lock of
 * the tenant's versions, and has seen that no row names these weights. Throws NOT_READY where the disk is full.
 */
export async function keepTrained(files: FileStore, tenantId: string, artifact: ModelArtifact): Promise<void> {
  const { sha256 } = artifact.manifest.weights;
  await files.remove(tenantId, sha256);
  await files.put(tenantId, sha256, packModel(artifact));
}

/**
 * Keeps what ships with this release: tenants that begin with it may still have it when a later one ships another. A
 * damaged copy is mended.
 */
export async function keepShipped(files: FileStore, artifact: ModelArtifact): Promise<void> {
  const { sha256 } = artifact.manifest.weights;
  const row = { tenantId: NO_TENANT, sha256, parentId: null };
  const kept = await readModelFile(files, row).catch((error: unknown) => {
    if (error instanceof StoreUnreachable) throw error;
    return null;
  });
  if (!kept) await files.remove(NO_TENANT, sha256);
  await files.put(NO_TENANT, sha256, packModel(artifact));
}

/** What a version's row states of its model. */
export function factsOf(artifact: ModelArtifact): BaseModel {
  const { weights, encoders, architecture } = artifact.manifest;
  const { layers, heads, tokens } = architecture;
  return {
    sha256: weights.sha256,
    towerHash: towerHash(artifact),
    ...{ imageEncoder: encoders.image, textEncoder: encoders.text },
    ...{ layers, heads, tokens },
  };
}
