/** A picture that is uploaded, waited for and deleted, again and again: the encoders have work, and nothing adds up. */
import { setTimeout as delay } from 'node:timers/promises';
import { gallery } from '../../../src/gallery/gallery.ts';
import { renderPicture } from '../../../src/gallery/picture.ts';
import { ask, type Tenant } from '../tenants.ts';

const PAUSE_MS = 3_000;
const LOOK_MS = 300;
/** None of the tenant's own. */
const PLACE = 999;

/** Resolves once `stop` is aborted. */
export async function comeAndGo(tenant: Tenant, stop: AbortSignal, onError: (error: string) => void): Promise<void> {
  const { url, serviceKey } = tenant;
  const picture = await renderPicture(gallery(PLACE + 1)[PLACE]!);
  for (let n = 0; !stop.aborted; n++) {
    try {
      const id = await upload(tenant, picture, `soak ${n}`);
      for (let status = 'PENDING'; status === 'PENDING'; await delay(LOOK_MS)) {
        const document = 'query ($id: ID!) { image(by: {id: $id}) { status } }';
        ({ status } = (await ask<{ image: { status: string } }>(url, serviceKey, document, { id })).image);
        if (status === 'FAILED') onError(`The picture ${id} is FAILED.`);
      }
      const document = 'mutation ($ids: [ID!]!) { deleteImages(input: {ids: $ids}) { userErrors { message } } }';
      await ask(url, serviceKey, document, { ids: [id] });
    } catch (error) {
      onError(String(error));
    }
    await delay(PAUSE_MS, undefined, { signal: stop }).catch(() => {});
  }
}

async function upload({ url, serviceKey }: Tenant, picture: Buffer, prompt: string): Promise<string> {
  const form = new FormData();
  form.set('file', new Blob([Uint8Array.from(picture)]), 'picture.jpg');
  form.set('prompt', prompt);
  const headers = { authorization: `Bearer ${serviceKey}` };
  const response = await fetch(`${url}/images`, { method: 'POST', headers, body: form });
  if (response.status !== 201) throw new Error(`An upload: ${response.status} ${await response.text()}`);
  return ((await response.json()) as { id: string }).id;
}
