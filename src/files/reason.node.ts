// Why a call of node:fs failed, in words.

const reasons: Record<string, string> = {
  ENOENT: "there is no such file or folder",
  EISDIR: "it is a folder",
  ENOTDIR: "a part of its path is a file and not a folder",
  EEXIST: "there is a file of that name, and a folder is needed",
  EACCES: "permission is denied",
  EPERM: "permission is denied",
  EROFS: "the file system is read-only",
  ENOSPC: "the disk is full",
  EFBIG: "it would be larger than a file may be here",
  EIO: "what it is written to does not answer",
  EDQUOT: "the disk quota is used up",
  ENAMETOOLONG: "the name is too long",
};

/** Why a call of node:fs failed, as the end of a sentence. */
export function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return Object.hasOwn(reasons, code ?? "") ? `${reasons[code!]} (${code})` : message;
}
