/**
 * Keeps what tenants entrust to the installation encrypted: AES-256-GCM under a key derived from the installation's
 * signing key. It knows neither what a secret is for nor where it lies.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
/** 96 bits, drawn anew for each secret (NIST SP 800-38D, 8.2.2). */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Sets the derived key apart from all else that the signing key is used for (RFC 5869, "info"). */
const PURPOSE = "palate: tenants' secrets, AES-256-GCM, 1";

export class SecretBox {
  readonly #key: Uint8Array;

  /** @param signingKey the installation's; another one opens nothing of this one's. */
  constructor(signingKey: string) {
    this.#key = new Uint8Array(hkdfSync('sha256', signingKey, '', PURPOSE, KEY_BYTES));
  }

  /** nonce, ciphertext, tag. It opens for this owner alone: copied to another's row it is of no use there. */
  seal(secret: string, owner: string): Uint8Array<ArrayBuffer> {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, this.#key, nonce).setAAD(Buffer.from(owner));
    return Uint8Array.from([...nonce, ...cipher.update(secret, 'utf8'), ...cipher.final(), ...cipher.getAuthTag()]);
  }

  /** The secret's UTF-8 bytes; null where it was sealed with another key, for another owner, or was altered. */
  open(sealed: Uint8Array, owner: string): Uint8Array | null {
    const bytes = Buffer.from(sealed);
    const nonce = bytes.subarray(0, NONCE_BYTES);
    const tag = bytes.subarray(Math.max(NONCE_BYTES, bytes.length - TAG_BYTES));
    try {
      const decipher = createDecipheriv(CIPHER, this.#key, nonce, { authTagLength: TAG_BYTES })
        .setAAD(Buffer.from(owner))
        .setAuthTag(tag);
      const text = decipher.update(bytes.subarray(NONCE_BYTES, bytes.length - TAG_BYTES));
      return Uint8Array.from([...text, ...decipher.final()]);
    } catch {
      return null;
    }
  }
}
