"""Face geometry out of mesh points: pure maths on arrays, in OpenFace's conventions.

Tasks hand in landmarks and get back shots, people, poses, action units, gaze and places of crops. Points are
float pixels of the picture, origin at its top left corner, pixel centres at halves.
"""
