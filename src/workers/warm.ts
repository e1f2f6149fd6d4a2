/**
 * Loads the models that replicas are told of (src/domain/preparing.ts) before anybody asks for them, so that the first
 * request after a promotion is as quick as any. What it misses is loaded when it is asked for.
 */
import { withTenant } from '../database/client.ts';
import { type Listener, listen } from '../database/notifications.ts';
import type { ModelPlatform } from '../domain/models.ts';
import { MODELS_CHANNEL } from '../domain/preparing.ts';

/**
 * Listens until the listener is closed. Resolves once it hears.
 * @param onError told of a lost connection, which is being mended, and of a database that did not answer
 */
export function startWarming(platform: ModelPlatform, url: string, onError: (error: Error) => void): Promise<Listener> {
  return listen(url, MODELS_CHANNEL, {
    onMessage: (text) => void warm(platform, text).catch(onError),
    onReconnect: () => {},
    onError,
  });
}

async function warm({ database, networks }: ModelPlatform, text: string): Promise<void> {
  const [tenantId = '', id = ''] = text.split(':');
  await withTenant(tenantId, async () => {
    const row = await database.model.findFirst({ where: { id } });
    if (row) await networks.of(row).catch(() => {}); // why it cannot be used stands in the log
  });
}
