/**
 * Errors as HTTP answers: the status of each code, and the two shapes a body can have, `{error: {code, message}}` for
 * plain routes and GraphQL's own for /graphql, both with the request's id. What is no error of ours is logged and masked.
 */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { asOverloaded } from '../database/client.ts';
import { PointsError } from '../domain/points.ts';
import { ItemError } from '../domain/userErrors.ts';
import { type ErrorCode, PalateError } from '../errors.ts';

const STATUS: Readonly<Partial<Record<ErrorCode, number>>> = {
  BAD_USER_INPUT: 400,
  QUERY_TOO_COSTLY: 400,
  INVALID: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  LIMIT_REACHED: 403,
  NOT_FOUND: 404,
  CONFLICT: 409,
  IN_PROGRESS: 409,
  TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  RATE_LIMITED: 429,
  NOT_READY: 503,
  OVERLOADED: 503,
};

/** The HTTP status of a code. */
export const statusOf = (code: ErrorCode): number => STATUS[code] ?? 500;

/** When to ask again what was refused for lack of room: places come free many times a second. */
export const RETRY_SECONDS = 1;

/** An error of one form field. */
export class FieldError extends PalateError {
  readonly field: string;

  constructor(field: string, code: ErrorCode, message: string) {
    super(code, message);
    this.field = field;
  }
}

/** The field that an error is about, where it says. */
function fieldOf(error: PalateError): string | undefined {
  if (error instanceof FieldError) return error.field;
  return error instanceof ItemError ? error.field.join('.') : undefined;
}

interface Answer {
  status: number;
  code: string;
  message: string;
  field?: string;
}

/** What an error is told as. Errors of fastify itself (a body too large, JSON that is none) keep their words. */
function answerTo(error: unknown): Answer {
  if (error instanceof PalateError && STATUS[error.code]) {
    const { code, message } = error;
    const field = fieldOf(error);
    return { status: statusOf(code), code, message, ...(field ? { field } : {}) };
  }
  const status = (error as Partial<FastifyError> | null)?.statusCode ?? 500;
  const message = error instanceof Error ? error.message : '';
  if (status === 413) return { status, code: 'TOO_LARGE', message };
  if (status === 415) return { status, code: 'UNSUPPORTED_MEDIA_TYPE', message };
  if (status >= 400 && status < 500) return { status, code: 'BAD_USER_INPUT', message };
  return {
    status: 500,
    code: 'INTERNAL_SERVER_ERROR',
    message: 'The service failed to answer this; its log tells why, under the x-request-id of this response.',
  };
}

function prepare(raised: unknown, request: FastifyRequest, reply: FastifyReply): Answer {
  const error = asOverloaded(raised);
  const answer = answerTo(error);
  const { code, status } = answer;
  if (code === 'OVERLOADED' || code === 'NOT_READY') {
    // No fault, and there may be very many of them: a line without the stack.
    request.log.warn({ code, reason: answer.message }, 'the request was refused');
    void reply.header('retry-after', RETRY_SECONDS);
  } else if (status >= 500) {
    request.log.error({ err: error }, 'the request failed');
  }
  if (error instanceof PointsError && code === 'RATE_LIMITED') {
    void reply.header('retry-after', error.retryAfterSeconds);
  }
  if (request.server.inFlight.stopping) void reply.header('connection', 'close');
  if (status === 401) void reply.header('www-authenticate', 'Bearer realm="palate"');
  void reply.code(status);
  return answer;
}

/** The error handler of plain routes. */
export function answerPlainError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { status: _, ...told } = prepare(error, request, reply);
  return reply.send({ error: { ...told, requestId: request.id } });
}

/** A client that knows this type reads the errors of any status with it; of JSON, those of a 200 alone. */
const GRAPHQL_RESPONSE = 'application/graphql-response+json';

export const graphqlTypeFor = (accept: string | undefined): string =>
  `${accept?.includes(GRAPHQL_RESPONSE) ? GRAPHQL_RESPONSE : 'application/json'}; charset=utf-8`;

/** The body of a request to /graphql that fails before GraphQL begins. */
export const graphqlError = (code: string, message: string, requestId: string) => ({
  errors: [{ message, extensions: { code, requestId } }],
});

/** The error handler of /graphql, for what fails before GraphQL begins. */
export function answerGraphqlError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { code, message } = prepare(error, request, reply);
  void reply.type(graphqlTypeFor(request.headers.accept));
  return reply.send(graphqlError(code, message, request.id));
}
