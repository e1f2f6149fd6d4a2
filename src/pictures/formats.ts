/**
 * The picture formats that are taken, told by their first bytes: never by a name or a header that a client chose.
 */
export type PictureFormat = 'jpeg' | 'png' | 'webp' | 'avif';

interface FormatFacts {
  /** As people write it. */
  readonly label: string;
  readonly mediaType: string;
  readonly begins: (bytes: Buffer) => boolean;
}

const ascii = (bytes: Buffer, start: number, end: number): string => bytes.toString('latin1', start, end);

export const PICTURE_FORMATS: Readonly<Record<PictureFormat, FormatFacts>> = {
  jpeg: {
    label: 'JPEG',
    mediaType: 'image/jpeg',
    begins: (bytes) => ascii(bytes, 0, 3) === '\xff\xd8\xff',
  },
  png: {
    label: 'PNG',
    mediaType: 'image/png',
    begins: (bytes) => ascii(bytes, 0, 8) === '\x89PNG\r\n\x1a\n',
  },
  webp: {
    label: 'WebP',
    mediaType: 'image/webp',
    begins: (bytes) => ascii(bytes, 0, 4) === 'RIFF' && ascii(bytes, 8, 12) === 'WEBP',
  },
  avif: {
    label: 'AVIF',
    mediaType: 'image/avif',
    begins: (bytes) => fileTypeBrands(bytes).some((brand) => brand === 'avif' || brand === 'avis'),
  },
};

/** The format whose first bytes these are; undefined for anything else. */
export function pictureFormat(bytes: Buffer): PictureFormat | undefined {
  const formats = Object.keys(PICTURE_FORMATS) as PictureFormat[];
  return formats.find((format) => PICTURE_FORMATS[format].begins(bytes));
}

/** Major and compatible brands of an ISO base media file (ISO 14496-12, `ftyp`); none for other files. */
function fileTypeBrands(bytes: Buffer): string[] {
  if (bytes.length < 16 || ascii(bytes, 4, 8) !== 'ftyp') return [];
  const end = Math.min(bytes.readUInt32BE(0), bytes.length);
  const brands = [ascii(bytes, 8, 12)]; // then a version, then the compatible ones
  for (let at = 16; at + 4 <= end; at += 4) brands.push(ascii(bytes, at, at + 4));
  return brands;
}
