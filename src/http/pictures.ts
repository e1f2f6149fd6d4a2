/**
 * Pictures in and out: `POST /images` takes one, raw or in a multipart form; signed addresses give one, in the sizes of
 * the contract, to who holds the address. What a picture is and where it lies are src/pictures' and domain's.
 */
import multipart from '@fastify/multipart';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { withTenant } from '../database/client.ts';
import { checkNotSuspended } from '../domain/apiKeys.ts';
import { toGlobalId } from '../domain/ids.ts';
import { type ImageDescription, imagesByIds } from '../domain/images.ts';
import { type PictureLink, parsePictureSize } from '../domain/pictureLinks.ts';
import type { Platform } from '../domain/platform.ts';
import { UPLOAD_COST } from '../domain/points.ts';
import { readTenant } from '../domain/tenants.ts';
import { takePicture } from '../domain/uploads.ts';
import { PalateError } from '../errors.ts';
import { PICTURE_FORMATS, type PictureFormat } from '../pictures/formats.ts';
import { RESIZED_MEDIA_TYPE, resizePicture } from '../pictures/resize.ts';
import { inSession, requireCredential, requireService } from './authentication.ts';
import { answerPlainError, FieldError } from './errors.ts';
import { shareRequests } from './inFlight.ts';
import { charge, tellPoints } from './points.ts';

/** What a multipart form may say beside the file. */
const TEXT_FIELDS = ['prompt', 'externalId', 'generator', 'collection', 'owner'] as const;
type TextField = (typeof TEXT_FIELDS)[number];
/** Bytes of one text field: a prompt of 2,000 characters has 8,000 at most. What is longer is not kept anyway. */
const MAX_FIELD_BYTES = 16_384;
/** Bytes of a form beside the file: its text fields and what stands between them. */
const MAX_FORM_BYTES = 2 * TEXT_FIELDS.length * MAX_FIELD_BYTES;

/** Adds `POST /images` and the signed addresses. */
export async function addPictureRoutes(server: FastifyInstance, platform: Platform): Promise<void> {
  const { maxBytes } = platform.pictureLimits;
  const tooLarge = new PalateError('TOO_LARGE', `file is larger than ${maxBytes} bytes, the most that is taken.`);
  /** By the status that fastify gives them: what it finds wrong with a body, in our words. */
  const bodyErrors: Readonly<Record<number, PalateError>> = { 413: tooLarge, 415: noPicture() };

  await server.register(async (routes) => {
    routes.setErrorHandler((error, request, reply) =>
      answerPlainError(bodyErrors[(error as Partial<FastifyError>).statusCode ?? 0] ?? error, request, reply),
    );
    requireCredential(routes, platform);
    tellPoints(routes, platform);
    requireService(routes);
    shareRequests(routes);
    routes.addHook('onRequest', async ({ headers }) => {
      if (Number(headers['content-length']) > maxBytes + MAX_FORM_BYTES) throw tooLarge; // before any of it is read
    });
    routes.addHook('onRequest', async ({ credential }) => {
      if (credential) platform.quotas.checkPendingImages(credential.tenant.id);
    });
    charge(routes, platform, UPLOAD_COST);
    routes.removeAllContentTypeParsers(); // JSON and text are no pictures
    await routes.register(multipart, {
      // One field more than there are, so that one too many is told by its name.
      limits: { fileSize: maxBytes, files: 1, fields: TEXT_FIELDS.length + 1, fieldSize: MAX_FIELD_BYTES },
    });
    // Whatever a client calls it, bytes are bytes: the type is read from them.
    for (const type of ['application/octet-stream', /^image\//]) {
      const options = { parseAs: 'buffer', bodyLimit: maxBytes } as const;
      routes.addContentTypeParser<Buffer>(type, options, (_request, body, done) => done(null, body));
    }

    routes.post('/images', {
      handler: inSession(async (request, reply) => {
        const { bytes, description } = request.isMultipart() ? await readForm(request) : readRaw(request);
        const { image, created } = await takePicture(platform, bytes, description);
        void reply.code(created ? 201 : 200);
        return { id: toGlobalId('Image', image.id) };
      }),
    });
  });

  server.get<{ Params: Record<'tenantId' | 'imageId', string>; Querystring: Record<string, string> }>(
    '/pictures/:tenantId/:imageId',
    async ({ params, query, place }, reply) => {
      const size = query['size'] === undefined ? null : parsePictureSize(Number(query['size']));
      const link = { ...params, size };
      const secondsLeft = platform.links.verify(
        link,
        Number(query['expires']),
        query['signature'] ?? '',
        platform.now(),
      );
      place?.claim(link.tenantId); // not before: whoever cannot sign could fill another's share
      return sendPicture(platform, reply, link, secondsLeft);
    },
  );
}

interface Upload {
  bytes: Buffer;
  description: ImageDescription;
}

function readRaw(request: FastifyRequest): Upload {
  if (!Buffer.isBuffer(request.body)) throw noPicture();
  return { bytes: request.body, description: {} };
}

function noPicture(): PalateError {
  return new PalateError(
    'UNSUPPORTED_MEDIA_TYPE',
    'The body must be the bytes of a picture (Content-Type: image/jpeg, say) or a multipart form with the field file.',
  );
}

/** Reads the form. Throws an error that names the field at fault. */
async function readForm(request: FastifyRequest): Promise<Upload> {
  let bytes: Buffer | null = null;
  const texts: Partial<Record<TextField, string>> = {};
  try {
    for await (const part of request.parts()) {
      if (part.type === 'file') {
        if (part.fieldname !== 'file') throw wrongField(part.fieldname);
        bytes = await part.toBuffer();
      } else {
        const field = TEXT_FIELDS.find((name) => name === part.fieldname);
        if (!field || typeof part.value !== 'string') throw wrongField(part.fieldname);
        if (field in texts) throw new FieldError(field, 'INVALID', `${field} stands in the form more than once.`);
        if (part.valueTruncated) {
          throw new FieldError(field, 'TOO_LARGE', `${field} has more than ${MAX_FIELD_BYTES} bytes.`);
        }
        texts[field] = part.value;
      }
    }
  } catch (error) {
    throw toFormError(error);
  }
  if (!bytes) throw new FieldError('file', 'INVALID', 'The form has no field file: send the picture in it.');
  const { owner, ...description } = texts;
  return { bytes, description: { ...description, ...(owner === undefined ? {} : { owner: { externalId: owner } }) } };
}

/** The error of a field that there is not, or that came as a file where it is text, or the other way round. */
function wrongField(name: string): PalateError {
  const message =
    name === 'file'
      ? 'file came as text: send it as a file, with a filename, such as curl -F file=@fox.jpg.'
      : TEXT_FIELDS.some((field) => field === name)
        ? `${name} must be plain text: send it without a filename and a content type.`
        : `The form has no field ${name}; it has file, ${TEXT_FIELDS.join(', ')}.`;
  return new FieldError(name, 'INVALID', message);
}

/** What the parser of forms found wrong, in our words: its errors have a code, those of the parser below it none. */
function toFormError(error: unknown): unknown {
  const { code, message } = error as Partial<FastifyError>;
  if (code === 'FST_FILES_LIMIT') {
    return new FieldError('file', 'INVALID', 'The form has more than one file: send one picture a request.');
  }
  if (code !== undefined) return error;
  const damaged = `The form cannot be read, damaged or cut short: ${message}.`;
  return new PalateError('INVALID', damaged, { cause: error });
}

async function sendPicture(
  platform: Platform,
  reply: FastifyReply,
  { tenantId, imageId, size }: PictureLink,
  secondsLeft: number,
): Promise<Buffer> {
  const image = await withTenant(tenantId, async () => {
    checkNotSuspended((await readTenant(platform.database))?.suspendedAt ?? null);
    return (await imagesByIds(platform.database, [imageId])).get(imageId);
  });
  if (!image) throw new PalateError('NOT_FOUND', 'This picture has been deleted.');
  const stored = await platform.pictures.get(tenantId, image.sha256);
  const bytes = size === null ? stored : await resizePicture(stored, size);
  void reply.headers({
    'content-type': size === null ? PICTURE_FORMATS[image.format as PictureFormat].mediaType : RESIZED_MEDIA_TYPE,
    'cache-control': `private, max-age=${secondsLeft}, immutable`, // one address is one picture for good
    'content-security-policy': "default-src 'none'; sandbox", // uploaded by others: shown, never run
    'cross-origin-resource-policy': 'cross-origin', // the tenant's own pages show it
    'content-disposition': 'inline',
  });
  return bytes;
}
