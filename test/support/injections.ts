/** Words that would make a program of them something else: each names a file and an address that nobody may open. */
import type { Canary } from "./canary.ts";
import { MARK } from "./canary.ts";

/** By what they try. Every one has the mark of the canary in it. */
export function injections({ file, address, port }: Canary): Readonly<Record<string, readonly string[]>> {
  const url = `${address}/${MARK}.ts`;
  return {
    "an argument": [
      `-i ${file} -f null -`,
      `-y ${file}`,
      `--help ${MARK}`,
      `-report:${file}`,
      `@${file}`,
      `/filter_complex ${file}`,
      `film.mp4 -vf movie=${file}`,
      `film.mp4" -i "${file}`,
    ],
    "a command": [`$(cat ${file}).mp4`, `\`cat ${file}\`.mp4`, `film;cat ${file};.mp4`, `film|cat ${file}`, `film' & cat ${file} & '.mp4`],
    "a protocol": [
      `file:${file}`,
      `file://${file}`,
      url,
      `concat:${file}|${file}`,
      `concatf:${file}`,
      `subfile,,start,0,end,9,,:${file}`,
      `hls+${url}`,
      `cache:async:${url}`,
      `crypto:${file}`,
      `tcp://127.0.0.1:${port}?${MARK}`,
      `rtmp://127.0.0.1:${port}/${MARK}`,
      `udp://127.0.0.1:${port}?localport=1&${MARK}`,
      `data:text/plain,#EXTM3U%0A#EXTINF:1,%0A${url}`,
      `pipe:0?${MARK}`,
      `fd:${MARK}`,
      `unix:${file}`,
      `tee:[f=mpegts]${file}|${url}`,
    ],
    "a pattern of names": [`${MARK}%d.png`, `${MARK}%03d.ts`, `${MARK}*.ts`, `${MARK}[0-9]?{1..9}.mp4`, `%{${MARK}}`, `%(${MARK})s`],
    "a filter": [
      `drawtext=textfile=${file}:text='x'`,
      `x':textfile='${file}':text='`,
      `x\\,movie=${file}[a];[a]`,
      `[0:v]movie=${file}[v0];[v0]`,
      `movie=${file.replaceAll(":", "\\:")},subtitles=${file}`,
      `lavfi:amovie=${url}`,
      `x\\\\\\':text=%{${MARK}}`,
    ],
    "a list or a playlist": [
      `film'\nfile '${file}'\n#.mp4`,
      `ffconcat version 1.0\nfile ${file}`,
      `#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n${url}\n#EXT-X-ENDLIST`,
      `;FFMETADATA1\ntitle=${MARK}\n[CHAPTER]\nSTART=0\nEND=1\ntitle=${file}`,
      `x",URI="${url}",NAME="y`,
      `"/><BaseURL>${url}</BaseURL><x a="`,
    ],
    "a line or an end": [
      `film\r\nX-Evil: ${MARK}`,
      `film.mp4\u0000${file}`,
      `\u0000${MARK}`,
      `${MARK}\u202egpj.exe`,
      `\u2028${MARK}\u0085.mp4`,
    ],
  };
}
