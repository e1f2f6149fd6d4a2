/**
 * What is sent to who sends no HTTP, too much of it or too little in time: the parser gives up before there is a
 * request, so the answer goes to the socket as it is, in the shape of every other error.
 */
import { randomUUID } from 'node:crypto';
import { maxHeaderSize, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import { securityHeaderLines } from './securityHeaders.ts';

interface ClientError extends Error {
  readonly code?: string;
}

function answerTo({ code }: ClientError): { status: number; code: string; message: string } {
  if (code === 'HPE_HEADER_OVERFLOW') {
    const message = `The request's headers are larger than ${maxHeaderSize} bytes, the most that is taken.`;
    return { status: 431, code: 'TOO_LARGE', message };
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    const message = 'The request did not arrive whole in time: send it faster, or less of it.';
    return { status: 408, code: 'BAD_USER_INPUT', message };
  }
  return { status: 400, code: 'BAD_USER_INPUT', message: 'This is no request of HTTP/1.1.' };
}

/** Answers, where the connection can still be written to and no answer has begun, and closes it. */
export function answerClientError(error: ClientError, socket: Socket, log: Logger): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  const { status, code, message } = answerTo(error);
  const requestId = randomUUID();
  log.info({ reqId: requestId, status, reason: error.code, address: socket.remoteAddress }, 'a connection was refused');
  // Node's own mark of an answer that is on its way: another one in the middle of it would be read as a part of it.
  const answering = (socket as Socket & { _httpMessage?: { headersSent: boolean } | null })._httpMessage;
  if (socket.writable && !answering?.headersSent) {
    const body = JSON.stringify({ error: { code, message, requestId } });
    socket.write(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${securityHeaderLines()}x-request-id: ${requestId}\r\n` +
        `content-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
        `connection: close\r\n\r\n${body}`,
    );
  }
  socket.destroy();
}
