# Loads GLBs that a Godot 3 project has imported and writes their vertices at given times, in the world, in the file's
# order where Godot keeps it:
#   godot3-server --path PROJECT --script godot_positions.gd
# PROJECT/jobs.json: [{"model": "res://a.glb", "output": "/a.json", "times": [0.0, ...]}, ...]
extends SceneTree


func _init():
	var file = File.new()
	file.open("res://jobs.json", File.READ)
	for job in parse_json(file.get_as_text()):
		var scene = load(job["model"]).instance()
		get_root().add_child(scene)
		var player = find(scene, "AnimationPlayer")
		if player != null:
			player.playback_process_mode = AnimationPlayer.ANIMATION_PROCESS_MANUAL
			player.play(player.get_animation_list()[0])
			player.get_animation(player.get_animation_list()[0]).loop = false
		var positions = []
		for time in job["times"]:
			if player != null:
				player.seek(time, true)
			positions.append(vertices(scene))
		var output = File.new()
		output.open(job["output"], File.WRITE)
		output.store_string(to_json({"positions": positions, "messages": []}))
		output.close()
		scene.free()
	quit()


func find(node, kind):
	if node.is_class(kind):
		return node
	for child in node.get_children():
		var found = find(child, kind)
		if found != null:
			return found
	return null


# Of meshes that play one after the other, the one that is not shrunk to a point.
func shown(node):
	var best = node if node is MeshInstance else null
	for child in node.get_children():
		var other = shown(child)
		if other != null and (best == null or size_of(other) > size_of(best)):
			best = other
	return best


func size_of(node):
	return abs(world(node).basis.determinant())


func world(node):
	var transform = Transform()
	while node is Spatial:
		transform = node.transform * transform
		node = node.get_parent()
	return transform


func vertices(scene):
	var instance = shown(scene)
	var mesh = instance.mesh
	var arrays = mesh.surface_get_arrays(0)
	var points = arrays[ArrayMesh.ARRAY_VERTEX]
	var shapes = mesh.surface_get_blend_shape_arrays(0)
	for number in shapes.size():
		var weight = instance.get("blend_shapes/" + mesh.get_blend_shape_name(number))
		if weight != null and weight != 0.0:
			var moved = shapes[number][ArrayMesh.ARRAY_VERTEX]
			var base = arrays[ArrayMesh.ARRAY_VERTEX]
			var relative = mesh.blend_shape_mode == Mesh.BLEND_SHAPE_MODE_RELATIVE
			for vertex in points.size():
				points[vertex] += weight * (moved[vertex] if relative else moved[vertex] - base[vertex])
	var place = world(instance)
	var matrices = bones(instance)
	var flat = []
	for vertex in points.size():
		var point = place.xform(points[vertex])
		if matrices.size() > 0:
			point = Vector3()
			for i in 4:
				var weight = arrays[ArrayMesh.ARRAY_WEIGHTS][4 * vertex + i]
				if weight > 0.0:
					var bone = int(arrays[ArrayMesh.ARRAY_BONES][4 * vertex + i])
					point += weight * matrices[bone].xform(points[vertex])
		flat.append(point.x)
		flat.append(point.y)
		flat.append(point.z)
	return flat


# World from vertex, one for every bone of the mesh's skin; none without a skin.
func bones(instance):
	var matrices = []
	var skeleton = instance.get_node_or_null(instance.skeleton)
	if instance.skin != null and skeleton is Skeleton:
		for bind in instance.skin.get_bind_count():
			var bone = instance.skin.get_bind_bone(bind)
			if bone < 0:
				bone = skeleton.find_bone(instance.skin.get_bind_name(bind))
			var pose = world(skeleton) * skeleton.get_bone_global_pose(bone)
			matrices.append(pose * instance.skin.get_bind_pose(bind))
	return matrices
