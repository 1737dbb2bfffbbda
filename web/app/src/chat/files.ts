import { type Attachment, Upload, type UploadSnapshot } from "@parlor/sdk";
import { useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { parlor } from "../session.tsx";

/** Files that one message takes; the server's limit. */
export const FILES = 10;

/** The address of a file inside of the page, once it is loaded: an element's `src` sends no token. */
export function useFile(fileId: string, part: "" | "/thumbnail", wanted = true) {
  const [url, setUrl] = useState<string | null>(null);
  const { data, error, isFetching } = useQuery({
    queryKey: ["file", fileId, part],
    queryFn: () => parlor.api.file(`/files/${fileId}${part}`),
    enabled: wanted,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 120_000,
    retry: 1,
  });
  useEffect(() => {
    if (!data) return;
    const made = URL.createObjectURL(data);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [data]);
  return { url, error, isFetching };
}

/** Saves a file where the person keeps what they download. */
export async function download({ fileId, name }: Attachment): Promise<void> {
  const url = URL.createObjectURL(await parlor.api.file(`/files/${fileId}`));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken it by the next turn.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** A file that is on its way into a message. */
export interface Chosen {
  key: number;
  upload: Upload;
  snapshot: UploadSnapshot;
}

/** The files of a message that is being written. */
export function useUploads() {
  const [chosen, setChosen] = useState<Chosen[]>([]);
  const last = useRef(0);
  const all = useRef<Chosen[]>([]);
  all.current = chosen;
  // Who goes away in the middle keeps nothing on the server.
  useEffect(() => () => void all.current.map(({ upload }) => upload.cancel()), []);

  const add = useCallback((files: readonly File[]) => {
    const added = files.slice(0, FILES - all.current.length).map((file): Chosen => {
      const upload = new Upload(file, parlor.api, parlor.socket);
      const key = ++last.current;
      upload.on("change", (snapshot) =>
        setChosen((before) => before.map((it) => (it.key === key ? { ...it, snapshot } : it))),
      );
      return { key, upload, snapshot: upload.snapshot };
    });
    setChosen((before) => [...before, ...added]);
    for (const { upload } of added) upload.start();
    return files.length - added.length;
  }, []);

  const remove = useCallback((key: number) => {
    all.current.find((it) => it.key === key)?.upload.cancel();
    setChosen((before) => before.filter((it) => it.key !== key));
  }, []);

  /** A message has taken them: they stay on the server. */
  const take = useCallback((): Attachment[] => {
    const taken = all.current.flatMap(({ upload, snapshot }) => {
      upload.close();
      return snapshot.file ?? [];
    });
    all.current = [];
    setChosen([]);
    return taken;
  }, []);

  return { chosen, add, remove, take };
}
