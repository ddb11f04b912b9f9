"""Dubbing: a person's clip and any speech in, a film in which the person says it out.

    hearing   what is heard in the sound            template  which clip is dubbed over
    walk      in which order its frames are shown   gate      lips that close in silence
    motion    what the face does, frame by frame    draw      pieces of film, by several threads
    casting   who speaks: weights and memory        stage     all of it as one unit of work

Nothing grows with the length of the speech but files in the draft and a few bytes a frame. Called by
`flows.dub`.
"""
