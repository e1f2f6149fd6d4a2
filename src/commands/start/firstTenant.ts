/**
 * The tenant that `palate start` makes when there is none: its keys are kept in the data folder, so that the next start
 * can go on with it and print them again.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { withTenant } from '../../database/client.ts';
import { makeApiKey } from '../../domain/apiKeys.ts';
import type { Platform } from '../../domain/platform.ts';
import { createTenant, readTenant } from '../../domain/tenants.ts';
import { PalateError } from '../../errors.ts';
import { writeSecretFile } from './secretFile.ts';

const keptTenant = z.object({
  tenantId: z.string(),
  adminKey: z.string(),
  serviceKey: z.string(),
  /** True once everything of the demo is in: what is deleted afterwards stays deleted. */
  demoComplete: z.boolean(),
});

export type KeptTenant = z.infer<typeof keptTenant>;

/** Where the keys are kept: the demo's apart from those of a tenant that began empty. */
export function keysFile(dataDirectory: string, demo: boolean): string {
  return join(dataDirectory, demo ? 'demo-keys.json' : 'keys.json');
}

/** The tenant of the keys file, or a new one. A file whose tenant is not in this database is replaced. */
export async function keepFirstTenant(platform: Platform, file: string, name: string): Promise<KeptTenant> {
  const kept = await readKeys(file);
  if (kept && (await withTenant(kept.tenantId, () => readTenant(platform.database)))) return kept;
  const { tenant, adminKey } = await createTenant(platform, null, name);
  const service = await withTenant(tenant.id, () =>
    makeApiKey(platform.database, { name: 'first service', role: 'SERVICE' }),
  );
  const made = { tenantId: tenant.id, adminKey, serviceKey: service.secret, demoComplete: false };
  await writeKeys(file, made);
  return made;
}

export function writeKeys(file: string, tenant: KeptTenant): Promise<void> {
  return writeSecretFile(file, `${JSON.stringify(tenant, null, 2)}\n`);
}

async function readKeys(file: string): Promise<KeptTenant | null> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (text === null) return null;
  try {
    return keptTenant.parse(JSON.parse(text));
  } catch (cause) {
    throw new PalateError(
      'BAD_USER_INPUT',
      `${file} holds no keys of a tenant: mend it, or move it away to begin a new tenant.`,
      { cause },
    );
  }
}
